"""What is measured, under the names that dashboards for controller-runtime and client-go expect."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import choose_encoder

__all__ = ["ControllerMetrics", "Metrics"]

RECONCILE_BUCKETS = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 1.75,
    2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
)  # fmt: skip
QUEUE_BUCKETS = tuple(10.0**power for power in range(-8, 4))
OUTCOMES = ("success", "error", "requeue", "requeue_after")


class Watched(Protocol):
    """A watch, as far as it is measured."""

    synced: bool

    @property
    def age(self) -> float:
        """Seconds since the last sign of life."""


class Metrics:
    """All metrics of one manager, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciliations per controller.",
            ["controller", "result"],
            registry=registry,
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors", "Failed reconciliations.", ["controller"], registry=registry
        )
        self.terminal_errors = Counter(
            "controller_runtime_terminal_reconcile_errors",
            "Reconciliations that failed for good.",
            ["controller"],
            registry=registry,
        )
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of time per reconciliation.",
            ["controller"],
            registry=registry,
            buckets=RECONCILE_BUCKETS,
        )
        self.max_concurrent = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Largest number of reconciliations at a time.",
            ["controller"],
            registry=registry,
        )
        self.active = Gauge(
            "controller_runtime_active_workers", "Reconciliations going on.", ["controller"], registry=registry
        )
        queue = ["name", "controller"]
        self.depth = Gauge("workqueue_depth", "Keys waiting.", queue, registry=registry)
        self.adds = Counter("workqueue_adds", "Keys added.", queue, registry=registry)
        self.retries = Counter("workqueue_retries", "Keys added again after a failure.", queue, registry=registry)
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "How long keys wait before they are taken.",
            queue,
            registry=registry,
            buckets=QUEUE_BUCKETS,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "How long keys are worked on.",
            queue,
            registry=registry,
            buckets=QUEUE_BUCKETS,
        )
        self.unfinished = Gauge(
            "workqueue_unfinished_work_seconds", "Work in progress, summed up.", queue, registry=registry
        )
        self.longest = Gauge(
            "workqueue_longest_running_processor_seconds", "The longest work in progress.", queue, registry=registry
        )
        self.requests = Counter(
            "rest_client_requests",
            "HTTP requests by status code and method.",
            ["code", "method", "host"],
            registry=registry,
        )
        self.leader = Gauge(
            "leader_election_master_status", "1 for the leader, 0 for a standby.", ["name"], registry=registry
        )
        self.watch_age = Gauge(
            "kopf_sdk_watch_age_seconds",
            "Seconds since the watch last heard from the API server or tried to.",
            ["kind", "namespace"],
            registry=registry,
        )
        self.watch_synced = Gauge(
            "kopf_sdk_watch_synced", "1 where the cache is complete.", ["kind", "namespace"], registry=registry
        )

        self.webhook_requests = Counter(
            "controller_runtime_webhook_requests",
            "Admission and conversion requests by HTTP status code.",
            ["webhook", "code"],
            registry=registry,
        )
        self.webhook_seconds = Histogram(
            "controller_runtime_webhook_latency_seconds",
            "How long webhook requests take.",
            ["webhook"],
            registry=registry,
        )

    def watched(self, kind: str, namespace: str, states: Sequence[Watched]) -> None:
        """Show how the watches of a kind in a namespace are doing; of several, the worst."""
        self.watch_age.labels(kind, namespace).set_function(lambda: max(state.age for state in states))
        self.watch_synced.labels(kind, namespace).set_function(lambda: min(state.synced for state in states))

    def webhook(self, path: str, code: int, seconds: float) -> None:
        """Count a request to a webhook."""
        self.webhook_requests.labels(path, str(code)).inc()
        self.webhook_seconds.labels(path).observe(seconds)

    async def page(self, request: web.Request) -> web.Response:
        """Serve all of it in the format that the client asks for."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})

    def of(self, controller: str) -> ControllerMetrics:
        """Return the view of one controller, with all its series at zero."""
        return ControllerMetrics(self, controller)


class ControllerMetrics:
    """The metrics of one controller and of its queue."""

    def __init__(self, metrics: Metrics, controller: str) -> None:
        queue = {"name": controller, "controller": controller}
        self._results = {outcome: metrics.reconciles.labels(controller, outcome) for outcome in OUTCOMES}
        self._errors = metrics.errors.labels(controller)
        self._terminal = metrics.terminal_errors.labels(controller)
        self._seconds = metrics.seconds.labels(controller)
        self._max_concurrent = metrics.max_concurrent.labels(controller)
        self._active = metrics.active.labels(controller)
        self._depth = metrics.depth.labels(**queue)
        self._adds = metrics.adds.labels(**queue)
        self._retries = metrics.retries.labels(**queue)
        self._waited = metrics.waited.labels(**queue)
        self._worked = metrics.worked.labels(**queue)
        self._running: dict[object, float] = {}
        metrics.unfinished.labels(**queue).set_function(self._unfinished)
        metrics.longest.labels(**queue).set_function(self._longest)

    def workers(self, number: int) -> None:
        """Tell how many keys are worked on at a time."""
        self._max_concurrent.set(number)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Measure the work on one key."""
        started = time.monotonic()
        token = object()
        self._running[token] = started
        self._active.inc()
        try:
            yield
        finally:
            del self._running[token]
            self._active.dec()
            self._worked.observe(time.monotonic() - started)

    def reconciled(self, outcome: str, seconds: float) -> None:
        """Count a reconciliation."""
        self._results[outcome].inc()
        self._seconds.observe(seconds)
        if outcome == "error":
            self._errors.inc()

    def terminal(self) -> None:
        """Count a failure for good."""
        self._terminal.inc()

    # queue.QueueObserver

    def added(self, depth: int) -> None:
        """A key was added."""
        self._adds.inc()
        self._depth.set(depth)

    def taken(self, depth: int, waited: float) -> None:
        """A key was taken."""
        self._depth.set(depth)
        self._waited.observe(waited)

    def retried(self) -> None:
        """A key will be tried again."""
        self._retries.inc()

    def _unfinished(self) -> float:
        now = time.monotonic()
        return sum(now - started for started in self._running.values())

    def _longest(self) -> float:
        now = time.monotonic()
        return max((now - started for started in self._running.values()), default=0.0)
