"""Events: repeated ones are counted, too many are dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kopf_sdk.runtime import events
from kopf_sdk.runtime.errors import ServerError
from kopf_sdk.runtime.events import Recorder

TOY = {"apiVersion": "x.dev/v1", "kind": "Toy", "metadata": {"name": "toy", "namespace": "ns", "uid": "1"}}


class Api:
    """Keeps what is sent to it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.broken = False

    async def request(self, method: str, path: str, *, body: Any, content_type: str = "") -> dict[str, Any]:
        if self.broken:
            raise ServerError("down", status=500)
        self.sent.append((method, path, body))
        return {}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (the API in memory sets no event)
            await asyncio.sleep(0.001)


def recorder() -> tuple[Recorder, Api, Clock]:
    api, clock = Api(), Clock()
    return Recorder(api, controller="toys", instance="pod-1", clock=clock), api, clock  # type: ignore[arg-type]


async def test_an_event_says_what_happened_to_what() -> None:
    events_, api, _ = recorder()
    events_.record(TOY, "Warning", "Broken", "it broke", "Reconcile")
    await events_.drain()
    ((method, path, body),) = api.sent
    assert (method, path) == ("POST", "/apis/events.k8s.io/v1/namespaces/ns/events")
    assert (body["type"], body["reason"], body["note"], body["action"]) == (
        "Warning",
        "Broken",
        "it broke",
        "Reconcile",
    )
    assert body["regarding"]["uid"] == "1"
    assert (body["reportingController"], body["reportingInstance"]) == ("toys", "pod-1")
    assert body["eventTime"].endswith("Z")


async def test_a_repeated_event_becomes_a_series_with_one_write_a_minute(monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "FLUSH_SECONDS", 0.01)
    events_, api, clock = recorder()
    running = asyncio.create_task(events_.run())
    for _ in range(50):
        events_.record(TOY, "Normal", "Again", "and again", "Reconcile")
    await until(lambda: len(api.sent) == 1)
    clock.now += 1
    await until(lambda: len(api.sent) == 2)
    await asyncio.sleep(0.05)
    running.cancel()
    assert [method for method, _, _ in api.sent] == ["POST", "PATCH"]
    assert api.sent[1][2]["series"]["count"] == 50
    assert api.sent[1][1].startswith(api.sent[0][1])


async def test_one_object_cannot_flood_and_others_are_still_heard() -> None:
    events_, api, clock = recorder()
    for number in range(100):
        events_.record(TOY, "Normal", "Different", str(number), "Reconcile")
    events_.record({**TOY, "metadata": {"name": "other", "uid": "2"}}, "Normal", "Heard", "", "Reconcile")
    clock.now += 301
    events_.record(TOY, "Normal", "Later", "", "Reconcile")
    await events_.drain()
    assert len(api.sent) == 25 + 1 + 1


async def test_events_that_cannot_be_written_hurt_nobody() -> None:
    events_, api, _ = recorder()
    api.broken = True
    events_.record(TOY, "Normal", "Lost", "", "Reconcile")
    await events_.drain()
    api.broken = False
    events_.record(TOY, "Normal", "Lost", "", "Reconcile")
    await events_.drain()
    assert len(api.sent) == 1


async def test_what_did_not_fit_is_written_when_it_happens_again() -> None:
    events_, api, clock = recorder()
    for number in range(1001):
        about = {**TOY, "metadata": {"name": "toy", "namespace": "ns", "uid": str(number)}}
        events_.record(about, "Normal", "Made", "made", "Reconcile")
    await events_.drain()
    assert len(api.sent) == 1000
    clock.now += 1
    events_.record(about, "Normal", "Made", "made", "Reconcile")
    await events_.drain()
    assert len(api.sent) == 1001
