"""What is done around Kopf: looking for kinds, and comparing the cache with lists."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from kopf_sdk.runtime import watch
from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.errors import NotFoundError, UnreachableError
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.reflector import WatchState
from kopf_sdk.runtime.scope import Scope
from kopf_sdk.runtime.watch import KopfWatch, Primary

TOY, GADGET = Kind("x.dev/v1", "Toy"), Kind("y.dev/v1", "Gadget")


class Server:
    """Answers discovery and lists."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.away = False
        self.version = 10
        self.toys: dict[str, int] = {}
        self.asked = 0

    async def request(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise UnreachableError("no answer")
        if path == TOY.path():
            items = [{"metadata": {"uid": uid, "resourceVersion": str(v)}} for uid, v in self.toys.items()]
            return {"metadata": {"resourceVersion": str(self.version)}, "items": items}
        found = [{"name": kind.plural} for kind in self.kinds if kind.base == path]
        if not found:
            raise NotFoundError("no such group", status=404)
        return {"resources": found}


def watching(server: Any, *kinds: Kind) -> tuple[KopfWatch, list[Primary]]:
    primaries = [Primary(Store(Source(kind)), [WatchState(kind, None)]) for kind in kinds]
    return KopfWatch(server, Scope(), primaries), primaries


def toy(uid: str, version: int) -> dict[str, Any]:
    metadata = {"name": uid, "namespace": "ns", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": "x.dev/v1", "kind": "Toy", "metadata": metadata}


async def test_a_kind_that_stays_away_is_no_silent_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_ABSENT", 0.01)
    kopf, (toys, gadgets) = watching(Server(TOY), TOY, GADGET)
    assert await kopf._present() == [toys]
    (state,) = gadgets.states
    assert state.absent
    state.touched -= 1000
    polling = asyncio.create_task(kopf._until_changed([toys]))
    await asyncio.sleep(0.05)
    polling.cancel()
    assert state.age < 10


async def test_a_server_that_is_away_at_the_start_is_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "RETRY", 0.01)
    server = Server()
    server.away = True
    kopf, _ = watching(server, TOY)
    supervisor = asyncio.create_task(kopf._supervise())
    await asyncio.sleep(0.1)
    assert server.asked > 3
    server.away = False  # and it does not have the kind: nothing to hurry for
    await asyncio.sleep(0.05)
    before = server.asked
    await asyncio.sleep(0.1)
    supervisor.cancel()
    assert server.asked == before


async def test_a_cluster_restored_from_a_backup_is_believed() -> None:
    server = Server(TOY)
    kopf, (toys,) = watching(server, TOY)
    kopf._restart.clear()
    server.version, server.toys = 100, {"kept": 90, "made later": 95}
    for uid, version in server.toys.items():
        toys.store.put(toy(uid, version))
    assert not await kopf._compare(toys, toys.states[0])
    server.version, server.toys = 50, {"kept": 40, "deleted later": 45}
    assert await kopf._compare(toys, toys.states[0])  # Kopf has to list again
    assert kopf._restart.is_set()
    for uid, version in server.toys.items():
        toys.store.put(toy(uid, version))
    assert {(entry.uid, entry.version) for entry in toys.store} == {("kept", 40), ("deleted later", 45)}
    assert not await kopf._compare(toys, toys.states[0])


def test_an_event_of_our_own_write_is_no_news_but_every_deletion_is() -> None:
    store = Store(Source(TOY))
    store.put(toy("mine", 7))

    def news(uid: str, version: int, type_: str | None = "MODIFIED") -> bool:
        return watch._is_news(store, type=type_, meta=toy(uid, version)["metadata"])

    assert not news("mine", 7)
    assert news("mine", 8)
    assert news("mine", 7, "DELETED")
    assert news("other", 7, None)


async def test_events_are_taken_in_some_at_a_time_and_a_bad_one_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "AT_A_TIME", 2)
    kopf, (toys,) = watching(Server(TOY), TOY)
    handler = kopf._handler(toys)
    events = [toy("bad", 1), *(toy(f"toy-{number}", number) for number in range(2, 6))]
    del events[0]["metadata"]["uid"]

    async def send() -> None:
        for event in events:
            await handler(event={"type": "ADDED", "object": event})

    thread = threading.Thread(target=lambda: asyncio.run(send()))
    thread.start()
    thread.join()
    seen = []
    while len(toys.store) < 4:
        await asyncio.sleep(0)
        seen.append(len(toys.store))
    assert seen[-3:] == [1, 3, 4]
    assert "an event of" in caplog.text
