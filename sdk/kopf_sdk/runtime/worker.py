"""Runs one controller: changes in the caches become keys, keys become calls of the reconcile function."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from kopf_sdk.api import CustomResource, ObjectMeta
from kopf_sdk.runtime.apply import Applier
from kopf_sdk.runtime.cache import Change, Entry
from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.controller import Controller, Result, Watch
from kopf_sdk.runtime.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    LeadershipLostError,
    NotFoundError,
    TerminalError,
)
from kopf_sdk.runtime.events import Recorder
from kopf_sdk.runtime.kinds import Manifest, object_key
from kopf_sdk.runtime.metrics import ControllerMetrics
from kopf_sdk.runtime.queue import Priority, Queue, QueueClosedError
from kopf_sdk.runtime.reader import Reader
from kopf_sdk.runtime.reflector import WatchState
from kopf_sdk.runtime.request import Request

__all__ = ["Worker"]

R = TypeVar("R", bound=CustomResource)
INVALID = "InvalidResource"
DOUBT_SECONDS = 1.0
"""Before a resource that may be gone is looked at again."""
PROBLEM_SECONDS = 5.0
"""Shortest wait before children that could not be applied are tried again."""


class Worker(Generic[R]):
    """The queue of one controller and the tasks that empty it."""

    def __init__(
        self,
        controller: Controller[R],
        *,
        reader: Reader[R],
        client: Client,
        recorder: Recorder,
        metrics: ControllerMetrics,
        resync: float,
    ) -> None:
        self.controller = controller
        self.queue = Queue(observer=metrics)
        self._reader = reader
        self._client = client
        self._recorder = recorder
        self._metrics = metrics
        self._resync = resync
        self._synced = False
        self._log = logging.getLogger(f"{__package__}.{controller.name}")
        self._applier = Applier(
            client, reader, controller.field_manager, controller.owned_labels, log=self._log.warning
        )
        self._connect()

    # From changes to keys.

    def _connect(self) -> None:
        self._reader.primary.listeners.append(self._on_resource)
        for kind in self.controller.owns:
            self._reader.store(kind).listeners.append(self._on_child)
        for watch in self.controller.watches:
            source_store = self._reader.watched(watch)
            source_store.listeners.append(self._follower(watch))

    def on_watch(self, state: WatchState) -> None:
        """Reconcile everything that may have waited for a kind to be there, or to be readable."""
        if self._synced:
            for entry in self._reader.primary.select(state.namespace, {}):
                self.queue.add(entry.key, Priority.ROUTINE)

    def _on_resource(self, change: Change) -> None:
        if change.new is None:
            self.queue.forget(change.entry.key)
            if self.controller.gone is not None:
                self.queue.add(change.entry.key, Priority.ROUTINE)
        elif change.old is None:
            self.queue.add(change.new.key, Priority.FRESH if self._synced else Priority.ROUTINE)
        elif concerns(change.old, change.new):
            self.queue.forget(change.new.key)
            self.queue.add(change.new.key, Priority.URGENT)

    def _on_child(self, change: Change) -> None:
        priority = Priority.URGENT if change.is_drift else Priority.FRESH
        for entry in (change.old, change.new):
            if entry is not None and (owner := entry.controller) and owner.kind == self.controller.kind.kind:
                namespace = entry.namespace if self.controller.kind.namespaced else None
                self.queue.add(object_key(namespace, owner.name), priority)

    def _follower(self, watch: Watch) -> Callable[[Change], None]:
        def on_change(change: Change) -> None:
            keys: set[str] = set()
            for entry in (change.old, change.new):
                if entry is not None:
                    try:
                        keys.update(watch.to_keys(entry.manifest(), self._reader))
                    except Exception:
                        self._log.exception("the mapping of %s %s to resources failed", watch.kind, entry.key)
            for key in sorted(keys):
                self.queue.add(key)

        return on_change

    # From keys to calls.

    def mark_synced(self) -> None:
        """Note that the caches are filled: what is new from now on is fresh."""
        self._synced = True

    async def run(self, tasks: int) -> None:
        """Reconcile with so many tasks until the queue is closed and every key in hand is done."""
        self._metrics.workers(tasks)
        await asyncio.gather(*(self._work() for _ in range(tasks)))

    async def resync(self) -> None:
        """Add every resource once per resync period, spread over it, so that there is no wave."""
        while True:
            keys = [entry.key for entry in self._reader.primary]
            pause = self._resync / (len(keys) + 1) * random.uniform(0.9, 1.1)  # noqa: S311 (no secret)
            for key in keys:
                await asyncio.sleep(pause)
                self.queue.add(key, Priority.ROUTINE)
            await asyncio.sleep(pause)

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except QueueClosedError:
                return
            try:
                await self._handle(key)
            finally:
                self.queue.done(key)

    async def _handle(self, key: str) -> None:
        """Reconcile one key; whatever happens, the worker goes on."""
        started = time.monotonic()
        with self._metrics.working():
            outcome = await self._attempt(key)
        self._metrics.reconciled(outcome, time.monotonic() - started)

    async def _attempt(self, key: str) -> str:
        """Call the reconcile function and see to what follows; return the outcome as the metrics name it."""
        namespace, _, name = key.rpartition("/")
        entry = self._reader.primary.get(namespace or None, name)
        if entry is None or entry.deleting:
            self.queue.forget(key)
            return self._gone(key) if entry is None else "success"
        if self._reader.doubtful(entry.namespace):
            self.queue.add_after(key, DOUBT_SECONDS)
            return "requeue_after"
        manifest = entry.manifest()
        try:
            result, problems = await self._reconcile(manifest)
        except LeadershipLostError:
            return "error"
        except TerminalError as error:
            self._log.error("%s: %s; waiting for it to change", key, error)
            self._metrics.terminal()
            return "error"
        except ApiError as error:
            return self._after_api_error(key, error)
        except Exception:
            wait = self.queue.retry(key)
            self._log.exception("%s: reconcile failed, trying again in %.1f s", key, wait)
            return "error"
        if result is None:
            self.queue.retry(key)
            return "error"
        if problems:
            # Nothing tells when a foreign object goes or a quota is raised.
            self.queue.retry(key, at_least=PROBLEM_SECONDS)
        else:
            self.queue.forget(key)
        if result.requeue_after > 0:
            self.queue.add_after(key, result.requeue_after)
            return "requeue_after"
        return "requeue" if problems else "success"

    def _gone(self, key: str) -> str:
        try:
            if self.controller.gone is not None:
                self.controller.gone(key)
        except Exception:
            self._log.exception("%s: what was remembered of it could not be forgotten", key)
            return "error"
        return "success"

    async def _reconcile(self, manifest: Manifest) -> tuple[Result | None, bool]:
        """Return what the function returns (None: the resource is not valid), and whether children have problems."""
        try:
            resource = self.controller.resource.model_validate(manifest)
        except ValidationError as error:
            await self._report_invalid(manifest, error)
            return None, False
        request = self._request(resource, manifest)
        return await self.controller.reconcile(request) or Result(), request.has_problems

    def _request(self, resource: R, manifest: Manifest) -> Request[R]:
        return Request(
            resource,
            manifest,
            cache=self._reader,
            applier=self._applier,
            recorder=self._recorder,
            client=self._client,
        )

    def _after_api_error(self, key: str, error: ApiError) -> str:
        if isinstance(error, NotFoundError) and self._reader.primary.get(*_split(key)) is None:
            return "success"  # deleted under our hands
        if isinstance(error, ForbiddenError) and error.namespace_terminating:
            self._log.info("%s: its namespace is being deleted", key)
            return "success"
        wait = self.queue.retry(key, at_least=error.retry_after or 0.0)
        level = logging.INFO if isinstance(error, ConflictError) else logging.WARNING
        self._log.log(level, "%s: trying again in %.2f s: %s", key, wait, error)
        return "error"

    async def _report_invalid(self, manifest: Manifest, error: ValidationError) -> None:
        """Say on the resource what is wrong with it; nothing of it is acted on."""
        message = "; ".join(describe(error))
        self._log.warning("%s: %s", manifest["metadata"].get("name"), message)
        live = (manifest.get("status") or {}).get("conditions") or []
        degraded = {"type": "Degraded", "status": "True", "reason": INVALID, "message": message[:32768]}
        kept = [condition for condition in live if condition.get("type") != "Degraded"]
        placeholder = ObjectMeta(generation=manifest["metadata"].get("generation", 0))
        request = self._request(cast(R, self.controller.resource.model_construct(metadata=placeholder)), manifest)
        request.event("Warning", INVALID, message)
        try:
            await request.update_status({**(manifest.get("status") or {}), "conditions": [*kept, degraded]})
        except ApiError as refused:
            self._log.warning("%s: cannot report: %s", manifest["metadata"].get("name"), refused)


def concerns(old: Entry, new: Entry) -> bool:
    """Whether more than the status of the resource changed: spec (generation), labels, annotations, deletion."""
    if old.generation != new.generation or old.deleting != new.deleting or old.labels != new.labels:
        return True
    return new.generation == 0 or old.annotations != new.annotations


def describe(error: ValidationError) -> Iterable[str]:
    """Return one line per invalid field: where and what."""
    for item in error.errors(include_url=False):
        yield f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"


def _split(key: str) -> tuple[str | None, str]:
    namespace, _, name = key.rpartition("/")
    return namespace or None, name
