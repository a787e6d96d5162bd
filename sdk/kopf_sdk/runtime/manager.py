"""The process: everything is started in order, runs under one roof, and is stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import signal
import socket
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from kopf_sdk.api import CustomResource
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.client import Client, Connection
from kopf_sdk.runtime.controller import Controller
from kopf_sdk.runtime.errors import LeadershipLostError
from kopf_sdk.runtime.events import Recorder
from kopf_sdk.runtime.health import Check
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.leader import Election, Gate, LeaseTimes
from kopf_sdk.runtime.logs import configure_logging
from kopf_sdk.runtime.metrics import Metrics
from kopf_sdk.runtime.operator_condition import UpgradeGuard
from kopf_sdk.runtime.reader import Reader, Stores
from kopf_sdk.runtime.reflector import Reflector, WatchState
from kopf_sdk.runtime.scope import Scope
from kopf_sdk.runtime.servers import Servers
from kopf_sdk.runtime.settings import Settings
from kopf_sdk.runtime.tasks import cancelled
from kopf_sdk.runtime.webhook import Conversion, Webhook
from kopf_sdk.runtime.worker import Worker

__all__ = ["ExitCode", "Manager"]

SILENT_TOO_LONG = 420.0
"""Seconds without a sign of life after which a watch fails the liveness probe: longer than any watch request lasts."""

R = TypeVar("R", bound=CustomResource)
PAGES_AT_A_TIME = 2
"""Pages of lists that are decoded at a time, of all watches together."""
COLLECT = (5000, 10, 10)
"""Thresholds of Python's cycle collector. With its own (700) it takes a tenth of the operator's CPU under load, and the
more the fuller the caches are; with these a third of that, in the same memory (measured with 1,200 resources)."""

log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """How the process ended."""

    STOPPED = 0
    """On request, in order."""
    FAILED = 1
    """Something broke that should not: see the log."""
    USAGE = 2
    """A setting is wrong."""
    LEADERSHIP_LOST = 3
    """The lease could not be renewed in time. To be started again as a standby."""
    GRACE_EXCEEDED = 4
    """Stopped on request, but reconciliations had to be cut off."""


class Manager:
    """Runs controllers.

    Parameters
    ----------
    settings
        See `Settings`.
    controllers
        What to run.
    webhooks
        What to serve, unless `settings.enable_webhooks` is off.
    """

    def __init__(
        self, settings: Settings, controllers: Sequence[Controller[Any]], *, webhooks: Sequence[Webhook] = ()
    ) -> None:
        self.settings = settings
        self.webhooks = tuple(webhooks)
        self.controllers = tuple(controllers)
        if not self.controllers:
            raise SdkError("a manager needs at least one controller")
        names = [controller.name for controller in self.controllers]
        if len(set(names)) != len(names):
            raise SdkError(f"two controllers have the same name: {', '.join(sorted(names))}")
        self.metrics = Metrics()
        self.ready = asyncio.Event()
        """Set when the caches are filled."""
        self.ports: dict[str, int] = {}
        """Where the servers listen, by name (`health`, `metrics`, `webhook`); for port 0 in tests."""
        self.gate = Gate(elected=settings.leader_elect, times=self._times)
        self._stores = Stores()
        self._readers = {controller: Reader(controller, self._stores) for controller in self.controllers}
        self._workers: list[Worker[Any]] = []
        self._guard: UpgradeGuard | None = None
        self._stop = asyncio.Event()

    def reader(self, controller: Controller[R]) -> Reader[R]:
        """What one of the controllers has in memory; for webhooks."""
        return self._readers[controller]

    @property
    def watches(self) -> list[WatchState]:
        """How every watch is doing."""
        return self._states()

    @property
    def caches(self) -> list[Store]:
        """Every cache."""
        return self._stores.all()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the process's exit code."""
        configure_logging(self.settings.log_level, self.settings.log_format)
        gc.set_threshold(*COLLECT)
        try:
            return asyncio.run(self._with_signals())
        except SdkError as error:
            log.error("%s", error.message + (f" ({error.hint})" if error.hint else ""))
            return ExitCode.USAGE

    def stop(self) -> None:
        """Begin the ordered shutdown. From the manager's loop only."""
        self._stop.set()

    async def _with_signals(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        freezing = asyncio.create_task(self._freeze(), name="freeze")
        try:
            return await self.serve()
        finally:
            freezing.cancel()

    async def _freeze(self) -> None:
        """Have the collector leave alone what stays: all modules, and the caches once they are filled."""
        await self.ready.wait()
        gc.collect()
        gc.freeze()

    async def serve(self) -> int:
        """Run in the current loop until `stop` is called; return the exit code."""
        settings = self.settings
        connection = await Connection.load(settings.kubeconfig or None)
        own = settings.namespace or connection.namespace
        scope = Scope.parse(settings.watch_namespaces, own)
        log.info("looking after %s%s", scope, f", {settings.watch_selector}" if settings.watch_selector else "")
        host = connection.server.partition("://")[2]

        def count(method: str, code: str) -> None:
            self.metrics.requests.labels(code, method, host).inc()

        async with contextlib.AsyncExitStack() as stack:
            client = await stack.enter_async_context(
                Client(connection, gate=self.gate, observer=count, timeout=settings.request_timeout)
            )
            ungated = await stack.enter_async_context(
                Client(connection, gate=self.gate.check, observer=count, timeout=settings.request_timeout)
            )
            recorder = Recorder(client, controller=self.controllers[0].field_manager, instance=self._identity)
            self._build(client, recorder)
            if settings.operator_condition_name:
                self._guard = self._upgrade_guard(client, own)
            servers = Servers(settings, ungated, own, metrics=self.metrics, webhooks=self.webhooks, ports=self.ports)
            await stack.enter_async_context(servers.serving(self._live(), self._ready()))
            watching = asyncio.create_task(self._watch(client, scope), name="watches")
            stack.push_async_callback(cancelled, watching)
            election = self._election(ungated, own)
            return await self._lead(election, recorder, watching)

    # The parts.

    def _build(self, client: Client, recorder: Recorder) -> None:
        for controller in self.controllers:
            self._workers.append(
                Worker(
                    controller,
                    reader=self._readers[controller],
                    client=client,
                    recorder=recorder,
                    metrics=self.metrics.of(controller.name),
                    resync=self.settings.resync_period,
                )
            )

    def _upgrade_guard(self, client: Client, own: str) -> UpgradeGuard:
        guard = UpgradeGuard(client, namespace=own, name=self.settings.operator_condition_name)
        for controller in self.controllers:
            if controller.holds_upgrade is not None:
                guard.follow(self._readers[controller].primary, controller.holds_upgrade)
        return guard

    async def _watch(self, client: Client, scope: Scope) -> None:
        """Fill the caches and keep them filled."""
        # Kopf is imported only where it runs: declarations and RBAC are read without it, in less time and memory.
        from kopf_sdk.runtime.watch import KopfWatch, Primary  # noqa: PLC0415

        selector = self.settings.watch_selector
        primaries: list[Primary] = []
        reflectors: list[Reflector] = []
        turn = asyncio.Semaphore(PAGES_AT_A_TIME)
        for worker in self._workers:
            controller = worker.controller
            manager = controller.field_manager
            source = Source(controller.kind)
            states = self._stores.watched(source, manager)
            states += [WatchState(controller.kind, part) for part in self._parts(controller.kind.namespaced, scope)]
            primaries.append(Primary(self._stores.store(source, manager), states))
            sources = [controller.owned_source(kind) for kind in controller.owns]
            sources += [watch.source for watch in controller.watches]
            for other in dict.fromkeys(sources):
                for part in self._parts(other.kind.namespaced, scope):
                    reflector = Reflector(client, self._stores.store(other, manager), part, log, turn)
                    reflector.state.listeners.append(worker.on_watch)
                    self._stores.watched(other, manager).append(reflector.state)
                    reflectors.append(reflector)
        watches: defaultdict[tuple[str, str], list[WatchState]] = defaultdict(list)
        for state in self._states():
            watches[str(state.kind), state.namespace or ""].append(state)
        for labels, states in watches.items():
            self.metrics.watched(*labels, states)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(KopfWatch(client, scope, primaries, selector=selector).run(), name="kopf")
                for reflector in reflectors:
                    group.create_task(reflector.run(), name=f"watch {reflector.state}")
                for state in self._states():
                    await state.settled.wait()
                log.info("caches are filled")
                self.ready.set()
        except BaseExceptionGroup as errors:
            if errors.subgroup(LeadershipLostError):
                raise LeadershipLostError("the lease was not renewed in time") from errors
            raise

    @staticmethod
    def _parts(namespaced: bool, scope: Scope) -> tuple[str | None, ...]:
        if namespaced or scope.everything:
            return scope.parts if namespaced else (None,)
        raise SdkError("a cluster-scoped kind cannot be watched while only some namespaces are")

    def _states(self) -> list[WatchState]:
        return [state for states in self._stores.states.values() for state in states]

    def _election(self, client: Client, own: str) -> Election | None:
        settings = self.settings
        if not settings.leader_elect:
            return None
        kind = self.controllers[0].kind
        return Election(
            client,
            self.gate,
            namespace=settings.leader_election_namespace or own,
            name=settings.leader_election_id or f"{self.controllers[0].name}{self._shard}.{kind.group}",
            identity=self._identity,
            times=self._times,
        )

    @property
    def _shard(self) -> str:
        """What tells the lease of one shard from that of another: each has a leader of its own."""
        selector = self.settings.watch_selector
        return f"-{hashlib.sha256(selector.encode()).hexdigest()[:8]}" if selector else ""

    @property
    def _times(self) -> LeaseTimes:
        settings = self.settings
        return LeaseTimes(settings.lease_duration, settings.renew_deadline, settings.retry_period)

    @property
    def _identity(self) -> str:
        return _IDENTITY

    def _live(self) -> Mapping[str, Check]:
        def watches() -> str | None:
            silent = [str(state) for state in self._states() if state.age > SILENT_TOO_LONG]
            return f"silent: {', '.join(silent)}" if silent else None

        def leadership() -> str | None:
            return "the lease was lost" if self.gate.lost else None

        return {"watches": watches, "leadership": leadership}

    def _ready(self) -> Mapping[str, Check]:
        converts = self.settings.enable_webhooks and any(isinstance(one, Conversion) for one in self.webhooks)
        # To list resources that are kept in another version, the API server asks a ready replica to convert them.
        exempt = {controller.kind for controller in self.controllers} if converts else set[Kind]()

        def caches() -> str | None:
            states = self._states()
            waiting = [state for state in states if not state.synced]
            if self.ready.is_set() or (waiting and exempt.issuperset(state.kind for state in waiting)):
                return None
            words = [f"{state} ({state.problem or 'not filled'})" for state in waiting]
            return f"waiting for {', '.join(words) or 'the API server'}"

        def stopping() -> str | None:
            return "shutting down" if self._stop.is_set() else None

        return {"caches": caches, "running": stopping}

    # The life.

    async def _lead(self, election: Election | None, recorder: Recorder, watching: asyncio.Task[None]) -> int:
        """Wait for the caches and the lease, reconcile, stop in order."""
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            ready = asyncio.create_task(self.ready.wait(), name="ready")
            if not await _before(ready, stop, watching):
                return ExitCode.STOPPED
            for worker in self._workers:
                worker.mark_synced()
            self.metrics.leader.labels(self.controllers[0].name).set(0 if election else 1)
            if election is not None:
                acquired = asyncio.create_task(election.acquire(), name="acquire the lease")
                if not await _before(acquired, stop, watching):
                    return ExitCode.STOPPED
                self.metrics.leader.labels(self.controllers[0].name).set(1)
            return await self._reconcile(election, recorder, watching, stop)
        except LeadershipLostError as error:
            log.error("%s; exiting", error)
            return ExitCode.LEADERSHIP_LOST
        finally:
            stop.cancel()
            if election is not None and not self.gate.lost:
                await election.release()

    async def _reconcile(
        self,
        election: Election | None,
        recorder: Recorder,
        watching: asyncio.Task[None],
        stop: asyncio.Task[Any],
    ) -> int:
        workers = [
            asyncio.create_task(worker.run(self.settings.workers), name=f"reconcile {worker.controller.name}")
            for worker in self._workers
        ]
        helpers = [asyncio.create_task(worker.resync(), name="resync") for worker in self._workers]
        helpers.append(asyncio.create_task(recorder.run(), name="events"))
        if self._guard is not None:
            helpers.append(asyncio.create_task(self._guard.run(), name="tell OLM"))
        holding = [asyncio.create_task(election.hold(), name="hold the lease")] if election else []
        try:
            done, _ = await asyncio.wait(
                {stop, watching, *workers, *helpers, *holding}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done - {stop}:
                task.result()  # raises: none of them ends by itself
            return await self._drain(workers, recorder)
        finally:
            for task in (*workers, *helpers, *holding):
                task.cancel()
            await asyncio.gather(*workers, *helpers, *holding, return_exceptions=True)
            self.metrics.leader.labels(self.controllers[0].name).set(0)

    async def _drain(self, workers: list[asyncio.Task[None]], recorder: Recorder) -> int:
        """Take no more keys, finish those in hand."""
        log.info("stopping: no more keys are taken")
        for worker in self._workers:
            worker.queue.close()
        _, late = await asyncio.wait(workers, timeout=self.settings.grace_period)
        for task in late:
            task.cancel()
        if late:
            log.warning("reconciliations were cut off after %.0f s", self.settings.grace_period)
            await asyncio.wait(late, timeout=1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await recorder.drain()
        log.info("stopped")
        return ExitCode.GRACE_EXCEEDED if late else ExitCode.STOPPED


_IDENTITY = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4()}"


async def _before(task: asyncio.Task[Any], stop: asyncio.Task[Any], watching: asyncio.Task[Any]) -> bool:
    """Wait for a task; say whether it was done before the stop. Raise what it, or the watches, raise."""
    try:
        await asyncio.wait({task, stop, watching}, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            return False
        if watching.done():
            watching.result()
        task.result()
        return True
    finally:
        await cancelled(task)
