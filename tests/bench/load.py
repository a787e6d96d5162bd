"""Many resources at once: made, converged, at rest, deleted."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import time
from collections.abc import Iterable
from typing import Any

from bench.arena import Address, Arena, Ground, until
from bench.audit import Audit, writes
from bench.processes import Foreign, Operator
from bench.server import Manifest
from bench.sides import Side
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.client import METADATA_LIST

__all__ = ["Arrivals", "create", "delete_all", "make", "throughput"]

CREATORS = 8
PATIENCE = 1800.0
FEW = 50


class Arrivals:
    """When each resource became what was asked for, as a client sees it."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._changed = threading.Condition()
        self.times: dict[str, float] = {}

    def __call__(self, type_: str, manifest: Manifest, now: float) -> None:
        name = manifest["metadata"]["name"] if type_ in ("ADDED", "MODIFIED") else ""
        if name and name not in self.times and self._side.converged(manifest):
            with self._changed:
                self.times[name] = now
                self._changed.notify_all()

    def fifths(self, started: float) -> list[float]:
        """Return the resources per second of every fifth of them, in the order in which they became so.

        Nothing where there are too few to tell.
        """
        ends = sorted(self.times.values())
        if len(ends) < FEW:
            return []
        marks = [started, *(ends[len(ends) * part // 5 - 1] for part in range(1, 6))]
        return [len(ends) / 5 / (after - before) for before, after in itertools.pairwise(marks)]

    def wait(self, number: int, operator: Operator) -> float:
        """Wait until so many have; return when the last one did."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while len(self.times) < number:
                self._changed.wait(1.0)
                if operator.popen.poll() is not None or time.monotonic() > deadline:
                    log = operator.log.read_text(errors="replace")[-3000:]
                    raise SdkError(f"{self._side.name}: {len(self.times)} of {number} converged, then nothing:\n{log}")
        return max(self.times.values())


def create(arena: Arena, side: Side, addresses: Iterable[Address]) -> None:
    """Make resources, given by namespace and name, as fast as the API server takes them."""

    def one(address: Address) -> None:
        namespace, name = address
        arena.server.request("POST", side.kind.path(namespace), side.resource(name))

    with concurrent.futures.ThreadPoolExecutor(CREATORS) as pool:
        list(pool.map(one, addresses))


def throughput(arena: Arena, side: Side, resources: int, name: str) -> dict[str, Any]:
    """Start the operator, make N resources, wait, delete them; return the figures."""
    ground = arena.ground(name, side, resources)
    operator = side.start(arena.kubeconfig, arena.folder / f"{name}.log", arena.port())
    try:
        ready = operator.wait_ready()
        # What the children of the side before left behind (pods, endpoints) may still be on its way out.
        arena.settle(operator.pid)
        figures: dict[str, Any] = {"start_seconds": ready, "rss_empty_mb": operator.rss()}
        figures |= converge(arena, side, operator, resources, ground)
        figures |= delete_all(arena, side, operator, ground)
    finally:
        operator.end()
    return figures


def make(arena: Arena, side: Side, operator: Operator, resources: int, ground: Ground) -> dict[str, Any]:
    """Make N resources; return the seconds until they exist and until all are what was asked for, and how fast."""
    arrivals = Arrivals(side)
    with arena.server.watching(side.kind.path(), arrivals):
        started = time.monotonic()
        create(arena, side, ground.addresses(resources))
        created = time.monotonic() - started
        took = arrivals.wait(resources, operator) - started
    return {
        "created_seconds": created,
        "converged_seconds": took,
        "resources_per_second": resources / took,
        "fifths_per_second": arrivals.fifths(started),
    }


def converge(arena: Arena, side: Side, operator: Operator, resources: int, ground: Ground) -> dict[str, Any]:
    """Make N resources and wait until all are what was asked for, and until nothing happens any more."""
    audit = Audit(arena.audit_log)
    cpu, parts, foreign = operator.cpu(), arena.component_cpu(), Foreign([operator.pid, *arena.components.values()])
    rss, database = operator.rss(), arena.etcd_bytes()
    made = make(arena, side, operator, resources, ground)
    cpu_converged = operator.cpu() - cpu
    arena.settle(operator.pid)
    requests = audit.requests(side.agent)
    kinds = {kind: number - ground.before[kind] for kind, number in arena.counts(side).items()}
    children = sum(kinds.values())
    sizes = {kind: arena.json_bytes(kind, ground.namespaces[0]) for kind, number in kinds.items() if number > 0}
    spent = {name: seconds - parts[name] for name, seconds in arena.component_cpu().items()}
    used = operator.cpu() - cpu
    return {
        "resources": resources,
        "namespaces": len(ground.namespaces),
        **made,
        "children_per_resource": children / resources,
        "objects_per_second": children / made["converged_seconds"],
        "writes_per_resource": writes(requests) / resources,
        "reads_per_resource": (sum(requests.values()) - writes(requests)) / resources,
        "requests": dict(sorted(requests.items())),
        "cpu_converged": cpu_converged,
        "cpu_settled": used,
        "cpu_seconds_per_1000": used * 1000 / resources,
        "cpu_ms_per_child": used * 1000 / children,
        "control_plane_cpu": spent,
        "control_plane_cpu_per_1000": sum(spent.values()) * 1000 / resources,
        "foreign_cpu_share": foreign.share(),
        "json_bytes_per_resource": arena.json_bytes(side.kind, ground.namespaces[0])
        + sum(size * kinds[kind] / resources for kind, size in sizes.items()),
        "etcd_bytes_per_resource": (arena.etcd_bytes() - database) / resources,
        "rss_mb": operator.rss(),
        "rss_kb_per_resource": (operator.rss() - rss) * 1000 / resources,
        "relist": relist(arena, side),
    }


def relist(arena: Arena, side: Side) -> dict[str, float]:
    """Read everything of the kinds that the operator watches, page by page; return what that takes.

    An operator does this when it starts, and when its watches broke for longer than etcd keeps the history.
    """
    figures = {"seconds": 0.0, "bytes": 0.0, "metadata_bytes": 0.0}
    for kind in (side.kind, *(kind for kind in side.owns if not kind.optional)):
        started = time.monotonic()
        figures["bytes"] += arena.server.pages(kind.path())
        figures["seconds"] += time.monotonic() - started
    figures["metadata_bytes"] = arena.server.pages(side.kind.path(), METADATA_LIST)
    return figures


def _delete_collection(arena: Arena, path: str) -> None:
    """Ask for the deletion of everything, again when there are more than the server deletes within its time limit."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            code, answer = arena.server.ask("DELETE", path)
        except OSError:
            continue
        if code < 300:
            return
        if code < 500:
            raise SdkError(f"DELETE {path}: {code}: {answer.get('message', answer)}")
    raise SdkError(f"DELETE {path}: not done after {PATIENCE:.0f} s")


def delete_all(arena: Arena, side: Side, operator: Operator, ground: Ground) -> dict[str, Any]:
    """Delete every resource; return the seconds until they, and until their children are gone."""
    cpu = operator.cpu()
    started = time.monotonic()
    for namespace in ground.namespaces:
        _delete_collection(arena, side.kind.path(namespace))
    until(lambda: arena.count(side.kind) == 0, PATIENCE, f"{side.name}: every resource is gone", 0.2)
    gone = time.monotonic() - started
    until(
        lambda: all(number <= ground.before[kind] for kind, number in arena.counts(side).items()),
        PATIENCE,
        f"{side.name}: every child is gone",
        0.5,
    )
    return {
        "deleted_seconds": gone,
        "deleted_with_children_seconds": time.monotonic() - started,
        "delete_cpu": operator.cpu() - cpu,
    }
