"""List and watch one kind into a store, as client-go's reflector does.

Owned and further watched kinds come this way, not through Kopf: a list replaces what is in the store, so nothing that
vanished unseen stays; one kind's failure is its own; and an event costs a twentieth of the CPU.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.client import METADATA, METADATA_LIST, Client
from kopf_sdk.runtime.errors import (
    ApiError,
    ForbiddenError,
    GoneError,
    LeadershipLostError,
    NotFoundError,
    UnreachableError,
)
from kopf_sdk.runtime.kinds import Kind

__all__ = ["Reflector", "WatchState", "served"]

CHUNK = 50
"""Objects per page of a list: what is decoded at a time decides how much memory the process keeps."""
METADATA_CHUNK = 200
"""The same where only metadata is read."""
WATCH_SECONDS = (240, 300)
"""How long the API server is asked to keep a watch open; random, so that not all are renewed at once."""
SILENCE = 100.0
"""Seconds without a line before a watch is opened anew; the server sends a bookmark about every minute."""
RETRY = 1.0
"""Seconds before the next try when the server is away: short, because drift goes unseen meanwhile."""
RETRY_FORBIDDEN = 15.0
POLL_ABSENT = 20.0
"""Seconds between two looks for a kind that the cluster lacks."""

NEWS = (b'{"type":"ADDED"', b'{"type":"MODIFIED"')
IDENTITY = re.compile(rb'"uid":"([^"\\]+)","resourceVersion":"(\d+)"')
"""UID and version of a built-in kind's object as the API server writes it: metadata first, these two side by side. An
owner reference ends after its UID, and custom resources have them the other way round: those are decoded."""


@dataclass
class WatchState:
    """How one watch is doing, for readiness, liveness and metrics."""

    kind: Kind
    namespace: str | None
    synced: bool = False
    """Whether the store holds everything that was there at the last list."""
    absent: bool = False
    """Whether the cluster does not have the kind."""
    problem: str | None = None
    """Why nothing can be read, while nothing can."""
    doubtful: bool = False
    """Whether objects in the store may have vanished unseen: the watch was broken, and no list was compared since."""
    touched: float = field(default_factory=time.monotonic)
    """When the watch last heard from the server, or last tried to (monotonic)."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first outcome is known: synced, absent or refused. A server that is away is none."""
    listeners: list[Callable[[WatchState], None]] = field(default_factory=list)
    """Called whenever the store becomes complete after it was not."""

    @property
    def age(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self.touched

    def touch(self) -> None:
        """Note a sign of life."""
        self.touched = time.monotonic()

    def succeed(self) -> None:
        """Note that the store is complete."""
        news = not self.synced
        self.synced, self.absent, self.problem = True, False, None
        self.touch()
        self.settled.set()
        if news:
            for listener in self.listeners:
                listener(self)

    def fail(self, problem: str, *, answered: bool = True) -> None:
        """Note that reading fails; without an answer it is not known yet whether it can be read."""
        self.problem = problem
        self.touch()
        if answered:
            self.settled.set()

    def vanish(self) -> None:
        """Note that the kind does not exist."""
        self.synced, self.absent, self.problem = False, True, None
        self.touch()
        self.settled.set()

    def __str__(self) -> str:
        return f"{self.kind} in {self.namespace or 'all namespaces'}"


async def served(client: Client, kind: Kind) -> bool:
    """Ask discovery whether the cluster has the kind, in that version."""
    try:
        document = await client.request("GET", kind.base)
    except NotFoundError:
        return False
    return any(item.get("name") == kind.plural for item in document.get("resources") or ())


class Reflector:
    """Keeps one store in step with one kind in one namespace (None: in all).

    `turn` is shared: it bounds how many pages are decoded at a time, and with it the memory that a start takes.
    """

    def __init__(
        self, client: Client, store: Store, namespace: str | None, log: logging.Logger, turn: asyncio.Semaphore
    ) -> None:
        self._turn = turn
        self.store = store
        self.state = WatchState(store.source.kind, namespace)
        self._client = client
        self._log = log
        self._version = 0

    @property
    def source(self) -> Source:
        """What is watched."""
        return self.store.source

    async def run(self) -> None:
        """List and watch until cancelled. Failures are reported in `state` and tried again."""
        while True:  # noqa: ASYNC110 (this is the work itself)
            await asyncio.sleep(await self._once())

    async def _once(self) -> float:
        """List, then watch until that breaks; return the seconds to wait before the next list."""
        try:
            if (self.source.kind.optional or self.state.absent) and not await served(self._client, self.source.kind):
                self._vanish()
                return POLL_ABSENT
            await self._list()
            while True:
                await self._watch()
        except LeadershipLostError:
            raise
        except GoneError:
            return 0.0
        except NotFoundError:
            self._vanish()
            return POLL_ABSENT
        except ForbiddenError as error:
            self._fail(error)
            return RETRY_FORBIDDEN * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)
        except ApiError as error:
            self._fail(error)
            return max(error.retry_after or 0.0, RETRY)
        except Exception as error:
            # A watch must outlive its own bugs: a deaf operator is worse than a noisy one.
            self._log.exception("watching %s failed", self.state)
            self._fail(error)
            return RETRY_FORBIDDEN

    def _vanish(self) -> None:
        if not self.state.absent:
            self._log.info("the cluster does not have %s; looking again every %d s", self.source.kind, POLL_ABSENT)
        self.state.vanish()
        self.store.clear(self.state.namespace)

    def _fail(self, error: Exception) -> None:
        if self.state.problem is None:
            self._log.warning("cannot watch %s, trying again: %s", self.state, error)
        self.state.fail(str(error), answered=not isinstance(error, UnreachableError))
        if isinstance(error, ForbiddenError):
            self.state.synced = False

    async def _list(self) -> None:
        limit = METADATA_CHUNK if self.source.metadata_only else CHUNK
        params = {"limit": str(limit), **self.source.selectors}
        kind = self.source.kind
        path = kind.path(self.state.namespace)
        accept = METADATA_LIST if self.source.metadata_only else "application/json"
        alive: list[str] = []
        while True:
            async with self._turn:
                page = await self._client.request("GET", path, params=params, accept=accept)
                self.state.touch()
                version = int(page["metadata"]["resourceVersion"])
                if version < self._version:
                    # The cluster was restored from a backup: what we know is from a future that never was.
                    self.store.reset(self.state.namespace)
                for item in page["items"] or ():
                    self._put(item)
                    alive.append(item["metadata"]["uid"])
            self._version = version
            if not (token := page["metadata"].get("continue")):
                break
            params["continue"] = token
        ghosts = self.store.prune(alive, self._version, self.state.namespace)
        if ghosts:
            self._log.info("%d of %s vanished while nobody was watching", len(ghosts), self.state)
        if self.state.problem is not None:
            self._log.info("watching %s again", self.state)
        self.state.succeed()

    async def _watch(self) -> None:
        """Follow one watch request until the server ends it (which it does by the clock)."""
        params = {
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._version),
            "timeoutSeconds": str(random.randint(*WATCH_SECONDS)),  # noqa: S311 (no secret)
            **self.source.selectors,
        }
        path = self.source.kind.path(self.state.namespace)
        accept = METADATA if self.source.metadata_only else "application/json"
        started = time.monotonic()
        try:
            async for line in self._client.stream(path, params=params, accept=accept, silence=SILENCE):
                if not self._known(line):
                    self._take_in(from_json(line))
        except UnreachableError as error:
            # The history is still there: go on from the last version, no list needed.
            self._fail(error)
            await asyncio.sleep(RETRY)
            return
        if self.state.problem is not None:
            self._log.info("watching %s again", self.state)
            self.state.succeed()
        self.state.touch()
        if time.monotonic() - started < RETRY:
            await asyncio.sleep(RETRY)

    def _known(self, line: bytes) -> bool:
        """Whether an event tells what the store holds already: our own writes come back, and are not decoded twice."""
        if self.state.problem is not None or not line.startswith(NEWS):
            return False
        found = IDENTITY.search(line)
        if found is None or not self.store.holds(found[1].decode(), version := int(found[2])):
            return False
        self._version = version
        self.state.touch()
        return True

    def _take_in(self, event: dict[str, Any]) -> None:
        self.state.touch()
        if self.state.problem is not None:
            self._log.info("watching %s again", self.state)
            self.state.succeed()
        item = event["object"]
        match event["type"]:
            case "ADDED" | "MODIFIED":
                self._put(item)
            case "DELETED":
                self.store.remove(item["metadata"]["uid"], int(item["metadata"]["resourceVersion"]))
            case "ERROR":
                raise ApiError.of(int(item.get("code") or 500), item, {})
        self._version = int(item["metadata"]["resourceVersion"])

    def _put(self, item: dict[str, Any]) -> None:
        """Lists leave the kind out of their items, and metadata-only answers have another one."""
        item["apiVersion"], item["kind"] = self.source.kind.api_version, self.source.kind.kind
        self.store.put(item)
