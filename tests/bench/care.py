"""Looking after what is there: at rest, after a restart, when a child is spoiled, when a resource changes."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.arena import Address, Arena
from bench.audit import Audit, writes
from bench.load import Arrivals, converge, create, delete_all
from bench.processes import Operator
from bench.server import MERGE_PATCH, Manifest
from bench.sides import Side
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import Kind

__all__ = ["Seen", "care"]

REST_SECONDS = 30.0
REPAIRS = 100
CHANGES = 40
PATIENCE = 60.0


class Seen:
    """Waits until an object of a watched collection is as it should be."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._wanted: tuple[str, Callable[[Manifest], bool]] | None = None
        self._when: float | None = None

    def __call__(self, type_: str, manifest: Manifest, now: float) -> None:
        with self._changed:
            if self._wanted is None or type_ != "MODIFIED" or manifest["metadata"]["name"] != self._wanted[0]:
                return
            if self._wanted[1](manifest):
                self._when, self._wanted = now, None
                self._changed.notify_all()

    def expect(self, name: str, condition: Callable[[Manifest], bool]) -> None:
        """Note what to wait for, before it can happen."""
        with self._changed:
            self._when, self._wanted = None, (name, condition)

    def wait(self, started: float, name: str) -> float:
        """Return the seconds from `started` until what was expected.

        Raises
        ------
        SdkError
            It does not happen in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._when is not None, PATIENCE):
                raise SdkError(f"{name} is not as it should be after {PATIENCE:.0f} s")
            assert self._when is not None
            return max(self._when - started, 0.0)


def care(arena: Arena, side: Side, resources: int, loaded: int, name: str) -> dict[str, Any]:
    """Bring N resources up, then measure everything that happens to them later.

    Parameters
    ----------
    resources
        How many are looked after.
    loaded
        How many others are created while drift is repaired.
    """
    ground = arena.ground(name, side, resources)
    log = arena.folder / f"{name}.log"
    operator = side.start(arena.kubeconfig, log, arena.port())
    addresses = ground.addresses(resources)
    try:
        operator.wait_ready()
        made = converge(arena, side, operator, resources, ground)
        figures: dict[str, Any] = {"made": made, "others": loaded, "rest": rest(arena, side, operator)}
    finally:
        operator.end()
    figures["restart"], operator = restart(arena, side, log)
    try:
        figures["repair_idle"] = summary(repair(arena, side, addresses, REPAIRS))
        figures["change"] = summary(change(arena, side, addresses[:CHANGES]))
        unchanged, others = addresses[CHANGES:], ground.addresses(loaded, "other")
        figures["repair_loaded"] = summary(repair_under_load(arena, side, operator, unchanged, others))
        figures["rss_after_mb"] = operator.rss()
        figures |= delete_all(arena, side, operator, ground)
    finally:
        operator.end()
    return figures


def rest(arena: Arena, side: Side, operator: Operator) -> dict[str, float]:
    """Measure an operator that has nothing to do."""
    audit, cpu = Audit(arena.audit_log), operator.cpu()
    time.sleep(REST_SECONDS)
    return {
        "requests_per_minute": sum(audit.requests(side.agent).values()) * 60 / REST_SECONDS,
        "cpu_percent": (operator.cpu() - cpu) * 100 / REST_SECONDS,
        "rss_mb": operator.rss(),
    }


def restart(arena: Arena, side: Side, log: Any) -> tuple[dict[str, Any], Operator]:
    """Start an operator over resources that are all as they should be."""
    audit = Audit(arena.audit_log)
    operator = side.start(arena.kubeconfig, log, arena.port())
    ready = operator.wait_ready()
    settled = arena.settle(operator.pid) - operator.started
    requests = audit.requests(side.agent)
    figures = {
        "ready_seconds": ready,
        "settled_seconds": settled,
        "requests": sum(requests.values()),
        "writes": writes(requests),
        "cpu": operator.cpu(),
        "rss_mb": operator.rss(),
    }
    return figures, operator


def repair(arena: Arena, side: Side, addresses: Sequence[Address], times: int) -> list[float]:
    """Spoil children by hand, one after the other; return the seconds until each was whole again."""
    kind, child, patch, whole = side.drift
    seen = Seen()
    took = []
    with arena.server.watching(kind.path(), seen):
        for number in range(times):
            namespace, name = addresses[number % len(addresses)]
            took.append(_spoil(arena, seen, kind, namespace, child(name), patch, whole))
    return took


def _spoil(
    arena: Arena,
    seen: Seen,
    kind: Kind,
    namespace: str,
    name: str,
    patch: Manifest,
    whole: Callable[[Manifest], bool],
) -> float:
    # The spoiled object comes first in the watch, and is not whole: only the repair meets the condition.
    seen.expect(name, whole)
    started = time.monotonic()
    arena.server.request("PATCH", kind.path(namespace, name), patch, MERGE_PATCH)
    return seen.wait(started, name)


def repair_under_load(
    arena: Arena, side: Side, operator: Operator, addresses: Sequence[Address], others: Sequence[Address]
) -> list[float]:
    """Spoil children while others are being created, until those have converged."""
    kind, child, patch, whole = side.drift
    seen, arrivals = Seen(), Arrivals(side)
    took: list[float] = []
    creating = threading.Thread(target=create, args=(arena, side, others))
    with arena.server.watching(kind.path(), seen), arena.server.watching(side.kind.path(), arrivals):
        creating.start()
        number = 0
        while creating.is_alive() or len(arrivals.times) < len(others):
            namespace, name = addresses[number % len(addresses)]
            took.append(_spoil(arena, seen, kind, namespace, child(name), patch, whole))
            number += 1
        creating.join()
    arrivals.wait(len(others), operator)
    return took


def change(arena: Arena, side: Side, addresses: Sequence[Address]) -> list[float]:
    """Change the size of resources, one after the other; return the seconds until the workload has it."""
    kind, child = side.workload
    seen = Seen()
    took = []
    with arena.server.watching(kind.path(), seen):
        for namespace, name in addresses:
            seen.expect(child(name), lambda manifest: manifest["spec"]["replicas"] == 2)
            started = time.monotonic()
            arena.server.request("PATCH", side.kind.path(namespace, name), {"spec": {"size": 2}}, MERGE_PATCH)
            took.append(seen.wait(started, child(name)))
    return took


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return the number of measurements, their median, 99th percentile and largest, in milliseconds."""
    ordered = sorted(seconds)
    rank = min(len(ordered) - 1, int(len(ordered) * 0.99))
    return {
        "number": len(ordered),
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[rank] * 1000,
        "max_ms": ordered[-1] * 1000,
    }
