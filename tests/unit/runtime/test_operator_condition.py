"""What OLM is told about upgrades, and how it gets there."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
from typing import Any

import pytest

from kopf_sdk.runtime import operator_condition
from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.errors import ConflictError, ForbiddenError
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.operator_condition import UpgradeGuard, upgradeable, with_condition

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
STAMP = "2026-11-22T12:00:00Z"
TOY = Kind("example.com/v1", "Toy")


def test_the_condition_names_what_holds_the_upgrade() -> None:
    assert upgradeable({})["status"] == "True"
    held = upgradeable({"Toy b/b": "Resizing", "Toy a/a": "Resizing"})
    assert held == {
        "type": "Upgradeable",
        "status": "False",
        "reason": "Resizing",
        "message": "Wait for Toy a/a: Resizing, Toy b/b: Resizing.",
    }
    many = upgradeable({f"Toy a/{number}": ("Resizing", "Rotating")[number % 2] for number in range(5)})
    assert many["reason"] == "ChangesUnderWay"
    assert many["message"].endswith("Toy a/2: Resizing and 2 more.")


def test_conditions_of_others_stay_and_the_time_changes_with_the_status_only() -> None:
    other = {"type": "Other", "status": "True"}
    free, held = upgradeable({}), upgradeable({"Toy a/a": "Resizing"})
    first = with_condition([other], free, NOW)
    assert first == [other, {**free, "lastTransitionTime": STAMP}]
    later = NOW + dt.timedelta(hours=1)
    assert with_condition(first, free, later) is None
    second = with_condition(first, held, later)
    assert second == [other, {**held, "lastTransitionTime": "2026-11-22T13:00:00Z"}]
    third = with_condition(second, upgradeable({"Toy b/b": "Rotating"}), later + dt.timedelta(hours=1))
    assert third is not None
    assert third[1]["lastTransitionTime"] == "2026-11-22T13:00:00Z"


class Server:
    """One OperatorCondition; its Role may be missing for a while, and somebody else may write it."""

    def __init__(self) -> None:
        self.object: dict[str, Any] = {"metadata": {"resourceVersion": "1"}, "spec": {"deployments": ["it"]}}
        self.granted = True
        self.intruder = False
        self.writes = 0

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "") -> dict[str, Any]:
        assert path == "/apis/operators.coreos.com/v2/namespaces/ns/operatorconditions/it.v1"
        if not self.granted:
            raise ForbiddenError("no", status=403)
        if method == "PATCH":
            if self.intruder:
                self.intruder = False
                self.object["metadata"]["resourceVersion"] = "100"
            if body["metadata"]["resourceVersion"] != self.object["metadata"]["resourceVersion"]:
                raise ConflictError("changed", status=409)
            self.writes += 1
            self.object["spec"] |= body["spec"]
            self.object["metadata"]["resourceVersion"] += "1"
        return copy.deepcopy(self.object)

    @property
    def told(self) -> str:
        (condition,) = self.object["spec"].get("conditions") or [{"status": "-", "message": ""}]
        return f"{condition['status']} {condition['message']}"


def toy(name: str, reason: str = "", version: int = 1, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": str(version), **metadata},
        "status": {"reason": reason},
    }


async def settle(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (the server in memory sets no event)
            await asyncio.sleep(0.001)


async def test_the_guard_follows_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_condition, "PAUSE_SECONDS", 0.001)
    server, store = Server(), Store(Source(TOY))
    guard = UpgradeGuard(server, namespace="ns", name="it.v1")  # type: ignore[arg-type]
    guard.follow(store, lambda manifest: manifest["status"]["reason"] or None)
    store.put(toy("one", "Resizing"))
    server.granted, server.intruder = False, True
    running = asyncio.create_task(guard.run())
    try:
        await asyncio.sleep(0.01)
        server.granted = True
        await settle(lambda: server.told == "False Wait for Toy a/one: Resizing.")
        assert server.object["spec"]["deployments"] == ["it"]
        store.put(toy("two", "Rotating"))
        store.put(toy("one", "", 2))
        await settle(lambda: server.told == "False Wait for Toy a/two: Rotating.")
        store.put(toy("two", "Rotating", 3, deletionTimestamp=STAMP))
        await settle(lambda: server.told == "True No change is under way.")
        store.put(toy("one", "Resizing", 4))
        await settle(lambda: server.told.startswith("False"))
        store.remove("one")
        await settle(lambda: server.told.startswith("True"))
        written = server.writes
        store.put(toy("three"))
        await asyncio.sleep(0.01)
        assert server.writes == written, "nothing new, nothing written"
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_question_that_fails_holds_nothing_and_breaks_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    store = Store(Source(TOY))
    guard = UpgradeGuard(Server(), namespace="ns", name="it.v1")  # type: ignore[arg-type]
    guard.follow(store, lambda manifest: str(manifest["no such field"]))
    store.put(toy("one"))
    assert "a/one" in caplog.text
