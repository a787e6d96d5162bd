"""What is done around Kopf: looking for kinds, and comparing the cache with lists."""

from __future__ import annotations

import asyncio
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
