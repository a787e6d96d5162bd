"""What a watch decodes, and what it knows already."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.errors import ApiError, ForbiddenError, ServerError, UnreachableError
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.reflector import Reflector

CONFIG_MAP = Kind("v1", "ConfigMap")


class Server:
    """Answers one list, and one watch with given lines."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "10"}, "items": []}

    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[bytes]:
        for line in self._lines:
            yield line


def event(type_: str, version: int, *, text: str, uid: str = "u1") -> bytes:
    """A line as the API server writes it."""
    metadata = {"name": "a", "namespace": "ns", "uid": uid, "resourceVersion": str(version)}
    item = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"text": text}}
    return json.dumps({"type": type_, "object": item}, separators=(",", ":")).encode()


async def followed(*lines: bytes) -> tuple[Store, Reflector]:
    """A store that holds version 20 of an object, after a watch with these lines."""
    store = Store(Source(CONFIG_MAP))
    store.put(json.loads(event("ADDED", 20, text="ours"))["object"])
    client: Any = Server(*lines)
    reflector = Reflector(client, store, None, logging.getLogger(), asyncio.Semaphore())
    await reflector._list()
    store.put(json.loads(event("ADDED", 20, text="ours"))["object"])
    task = asyncio.create_task(reflector._watch())
    await asyncio.wait({task}, timeout=0.1)
    task.cancel()
    return store, reflector


async def test_an_event_that_brings_our_own_write_back_is_not_decoded() -> None:
    broken = event("MODIFIED", 20, text="ours")[:-2]  # would not decode
    store, reflector = await followed(broken)
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.version == 20
    assert reflector._version == 20


async def test_everything_else_is_decoded() -> None:
    store, _ = await followed(event("MODIFIED", 21, text="theirs"))
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.manifest()["data"] == {"text": "theirs"}
    store, _ = await followed(event("DELETED", 20, text="ours"))
    assert len(store) == 0
    store, _ = await followed(event("ADDED", 20, text="another", uid="u2"))
    assert "u2" in store


@pytest.mark.parametrize(
    ("error", "settled"),
    [(ForbiddenError("no", status=403), True), (ServerError("no", status=500), True), (UnreachableError("?"), False)],
)
async def test_a_server_that_is_away_leaves_open_what_can_be_read(error: ApiError, settled: bool) -> None:
    class Failing(Server):
        async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
            raise error

    client: Any = Failing()
    reflector = Reflector(client, Store(Source(CONFIG_MAP)), None, logging.getLogger(), asyncio.Semaphore())
    await reflector._once()
    assert reflector.state.problem == str(error)
    assert reflector.state.settled.is_set() is settled
