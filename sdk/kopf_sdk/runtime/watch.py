"""Kopf watches the reconciled resources: its events fill the caches, nothing else of it is used.

Kopf runs in a thread and loop of its own, under a supervisor: whatever makes it give up, it is started again, while
caches and queues live on. What Kopf does not tell is found out here:

- objects that vanished while a watch was broken send no event: the caches are pruned against metadata-only lists, after
  every list that Kopf makes and from time to time;
- whether the first list is complete: when everything in the metadata-only list is in the cache;
- whether a watch is deaf: when the cache stays behind the metadata-only list.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf

from kopf_sdk.runtime.cache import Store
from kopf_sdk.runtime.client import METADATA_LIST, Client
from kopf_sdk.runtime.errors import ApiError, LeadershipLostError, UnreachableError
from kopf_sdk.runtime.kinds import Manifest
from kopf_sdk.runtime.reflector import (
    CHUNK,
    METADATA_CHUNK,
    POLL_ABSENT,
    RETRY,
    RETRY_FORBIDDEN,
    SILENCE,
    WatchState,
    served,
)
from kopf_sdk.runtime.scope import Scope

__all__ = ["KopfWatch", "Primary"]

WATCH_SECONDS = 290
"""Kopf needs an int here: a float is refused by the API server and ends Kopf."""
PRUNE_SECONDS = (540.0, 660.0)
"""Between two metadata-only lists without another reason."""
SETTLE_SECONDS = 1.0
"""From a list made by Kopf until its events have arrived."""
DEAF_SECONDS = 30.0
"""How far the cache may stay behind a list before the watch counts as deaf and Kopf is started again."""
RESTART_SECONDS = (1.0, 30.0)
"""Backoff between two starts of Kopf."""
STOP_SECONDS = 5.0
AT_A_TIME = 50
"""Events of Kopf's that are taken in before others have their turn in the main loop."""

log = logging.getLogger(__name__)


@dataclass
class Primary:
    """A reconciled kind: its cache and the states of its watches, one per part of the scope."""

    store: Store
    states: list[WatchState]


class _Forever:
    """Kopf's error backoffs without an end: every second, as a server that comes back is to be noticed at once."""

    def __iter__(self) -> Iterator[float]:
        while True:
            yield 1.0


class KopfWatch:
    """Watches reconciled kinds through Kopf: all resources in scope, or those with certain labels."""

    def __init__(self, client: Client, scope: Scope, primaries: list[Primary], *, selector: str = "") -> None:
        self._client = client
        self._scope = scope
        self._selector = selector
        self._primaries = primaries
        self._listed = {id(state): asyncio.Event() for primary in primaries for state in primary.states}
        self._versions: dict[int, int] = {}
        """That of the last list, by state."""
        self._inbox: deque[tuple[Primary, str | None, Manifest]] = deque()
        self._summoned = False
        self._restart = asyncio.Event()
        self._restart.set()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._supervise(), name="kopf supervisor")
            for primary in self._primaries:
                for state in primary.states:
                    group.create_task(self._prune(primary, state), name=f"prune {state}")

    # The thread.

    async def _supervise(self) -> None:
        """Keep Kopf running with the kinds that the cluster has."""
        wait = RESTART_SECONDS[0]
        while True:
            present = await self._present()
            if not present:
                absent = all(state.absent for primary in self._primaries for state in primary.states)
                await asyncio.sleep(POLL_ABSENT if absent else RETRY)
                continue
            self._restart.clear()
            started = self._loop.time()
            stop = threading.Event()
            thread = self._thread(present, stop)
            changed = asyncio.create_task(self._until_changed(present))
            restart = asyncio.create_task(self._restart.wait())
            try:
                awaited: set[asyncio.Future[Any]] = {thread, changed, restart}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop.set()
                for task in (changed, restart):
                    task.cancel()
                await asyncio.wait({thread}, timeout=STOP_SECONDS)
            if thread.done() and (error := thread.exception()) is not None:
                log.warning("kopf gave up, starting it again in %.0f s: %s", wait, error)
            wait = RESTART_SECONDS[0] if self._loop.time() - started > 60 else min(wait * 2, RESTART_SECONDS[1])
            await asyncio.sleep(wait)

    async def _present(self) -> list[Primary]:
        """Return the kinds that the cluster has, by discovery."""
        present = []
        for primary in self._primaries:
            kind = primary.store.source.kind
            try:
                if await served(self._client, kind):
                    present.append(primary)
                    for state in primary.states:
                        state.absent = False
                    continue
            except ApiError as error:
                for state in primary.states:
                    state.absent = False  # not known
                    state.fail(str(error), answered=not isinstance(error, UnreachableError))
                log.warning("cannot ask for %s: %s", kind, error)
                continue
            if not all(state.absent for state in primary.states):
                log.error("the cluster does not have %s: is its CRD installed? Looking again", kind)
            for state in primary.states:
                state.vanish()
            primary.store.clear()
        return present

    async def _until_changed(self, present: list[Primary]) -> None:
        """Return when a missing kind appears. One that goes ends Kopf by itself."""
        while True:
            await asyncio.sleep(POLL_ABSENT)
            for primary in self._primaries:
                if primary not in present:
                    for state in primary.states:
                        state.touch()
                    try:
                        if await served(self._client, primary.store.source.kind):
                            return
                    except ApiError:
                        continue

    def _thread(self, present: list[Primary], stop: threading.Event) -> asyncio.Future[None]:
        """Start Kopf's thread; the future is done when it ends. A daemon: one that hangs does not keep the process."""
        ended: asyncio.Future[None] = self._loop.create_future()

        def finish(error: BaseException | None) -> None:
            if ended.cancelled():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def run() -> None:
            error: BaseException | None = None
            try:
                self._kopf(present, stop)
            except BaseException as caught:
                error = caught
            self._call(finish, error)

        threading.Thread(target=run, name="kopf", daemon=True).start()
        return ended

    def _kopf(self, present: list[Primary], stop: threading.Event) -> None:
        """Run Kopf (in its thread) until it is told to stop or gives up."""
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            connection = self._client.connection
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context()),
                proxy=connection.configuration.proxy,
                headers={"User-Agent": "kopf-sdk"},
                middlewares=(self._middleware(present),),
            )
            return kopf.AiohttpSession(server=connection.server, aiohttp_session=session)

        for primary in present:
            kind = primary.store.source.kind
            register = kopf.on.event(
                kind.group,
                kind.version,
                kind.plural,
                registry=registry,
                when=functools.partial(_is_news, primary.store),
            )
            register(self._handler(primary))
        kopf.run(
            registry=registry,
            settings=_settings(),
            standalone=True,
            clusterwide=self._scope.everything,
            namespaces=self._scope.namespaces,
            stop_flag=stop,
        )

    def _handler(self, primary: Primary) -> Callable[..., Awaitable[None]]:
        async def on_event(event: Mapping[str, Any], **_: Any) -> None:
            self._inbox.append((primary, event["type"], event["object"]))
            if not self._summoned:
                self._summoned = True
                self._call(self._empty_inbox)

        return on_event

    def _empty_inbox(self) -> None:
        """Take in what Kopf's thread has put down: under load many events cost one call across threads."""
        self._summoned = False  # before the look inside, so that nothing can lie there unseen
        for _ in range(min(len(self._inbox), AT_A_TIME)):
            primary, type_, manifest = self._inbox.popleft()
            try:
                self._take_in(primary, type_, manifest)
            except Exception:
                log.exception("an event of %s could not be taken in", primary.store.source.kind)
        if self._inbox:
            self._summoned = True
            self._loop.call_soon(self._empty_inbox)

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """Have something done in the main loop, from Kopf's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _take_in(self, primary: Primary, type_: str | None, manifest: Manifest) -> None:
        if type_ == "DELETED":
            # With a selector it may only have lost its labels: it can come back under the same UID.
            primary.store.remove(manifest["metadata"]["uid"], int(manifest["metadata"]["resourceVersion"]))
        else:
            primary.store.put(manifest)

    def _middleware(self, present: list[Primary]) -> aiohttp.ClientMiddlewareType:
        """See every request of Kopf's: credentials, metrics, the gate, signs of life; and calm it down on refusals."""
        collections = {
            primary.store.source.kind.path(state.namespace): state for primary in present for state in primary.states
        }

        async def middleware(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            request.headers.update(await self._client.connection.authorization())
            self._client.gate(False)
            state = collections.get(request.url.path)
            if state is not None and self._selector:
                # Kopf filters by labels only what it has received.
                request.url = request.url.update_query(labelSelector=self._selector)
            try:
                response = await handler(request)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._client.observer(request.method, "<error>")
                self._call(self._on_answer, state, f"{error or type(error).__name__}", False, False)
                raise
            self._client.observer(request.method, str(response.status))
            if response.status < 400:
                self._call(self._on_answer, state, None, "watch" not in request.url.query)
                return response
            self._call(self._on_answer, state, f"HTTP {response.status} for {request.url.path}", False)
            if response.status == 403:
                await asyncio.sleep(RETRY_FORBIDDEN)  # Kopf would try every second
            elif response.status == 401:
                response.close()
                raise aiohttp.ClientConnectionError("the credentials were refused")  # Kopf would end
            return response

        return middleware

    def _on_answer(self, state: WatchState | None, problem: str | None, listed: bool, answered: bool = True) -> None:
        if state is None:
            return
        state.touch()
        if problem is not None:
            if state.problem is None:
                log.warning("cannot watch %s, trying again: %s", state, problem)
            state.fail(problem, answered=answered)
            state.doubtful = True
        elif listed or state.problem is not None:
            state.doubtful = True
            self._listed[id(state)].set()

    # The lists.

    async def _prune(self, primary: Primary, state: WatchState) -> None:
        """Compare the cache with the cluster after every list of Kopf's, and now and then."""
        listed = self._listed[id(state)]
        behind_since: float | None = None
        while True:
            try:
                # Not wait_for: see Queue.get.
                async with asyncio.timeout(None if not state.synced else random.uniform(*PRUNE_SECONDS)):  # noqa: S311
                    await listed.wait()
            except TimeoutError:
                pass
            else:
                listed.clear()
                await asyncio.sleep(SETTLE_SECONDS if state.synced else 0.1)
            while True:
                try:
                    behind = await self._compare(primary, state)
                except LeadershipLostError:
                    raise
                except ApiError as error:
                    log.debug("cannot list %s: %s", state, error)
                    await asyncio.sleep(5)
                    listed.set()
                    break
                state.doubtful = False
                if not behind:
                    behind_since = None
                    if state.problem is not None:
                        log.info("watching %s again", state)
                    state.succeed()
                    break
                now = self._loop.time()
                behind_since = behind_since or now
                if now - behind_since > DEAF_SECONDS and state.synced:
                    log.warning("the watch of %s is deaf, starting kopf again", state)
                    behind_since = None
                    self._restart.set()
                    break
                await asyncio.sleep(0.2 if not state.synced else 2.0)

    async def _compare(self, primary: Primary, state: WatchState) -> bool:
        """Drop what is gone; say whether something is missing or old in the cache."""
        store = primary.store
        params = {"limit": str(METADATA_CHUNK)}
        if self._selector:
            params["labelSelector"] = self._selector
        alive: dict[str, int] = {}
        path = store.source.kind.path(state.namespace)
        while True:
            page = await self._client.request("GET", path, params=params, accept=METADATA_LIST)
            for item in page["items"] or ():
                alive[item["metadata"]["uid"]] = int(item["metadata"]["resourceVersion"])
            version = int(page["metadata"]["resourceVersion"])
            if not (token := page["metadata"].get("continue")):
                break
            params["continue"] = token
        if version < self._versions.get(id(state), 0):
            log.warning("%s: the cluster was restored from a backup, reading everything again", state)
            store.reset(state.namespace)
            self._restart.set()
        self._versions[id(state)] = version
        if ghosts := store.prune(alive, version, state.namespace):
            log.info("%d of %s vanished while nobody was watching", len(ghosts), state)
        return any(store.older(uid, version) for uid, version in alive.items())


def _is_news(store: Store, *, type: str | None, meta: kopf.Meta, **_: Any) -> bool:  # noqa: A002 (Kopf's name)
    """Whether an event tells something: most tell of our own writes, which are in the cache already."""
    return type == "DELETED" or not store.holds(meta["uid"], int(meta["resourceVersion"]))


class _NoDifferences(kopf.DiffBaseStorage):
    """Kopf copies and compares every object for handlers of changes. There are none here."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        pass


def _settings() -> kopf.OperatorSettings:
    """Return Kopf's settings: watch, quietly, for ever."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDifferences()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.networking.error_backoffs = _Forever()
    settings.networking.connect_timeout = 10.0
    settings.networking.request_timeout = 60.0
    settings.watching.chunk_size = CHUNK
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30.0
    settings.watching.connect_timeout = 10.0
    settings.watching.inactivity_timeout = SILENCE
    settings.queueing.idle_timeout = 0.1
    return settings
