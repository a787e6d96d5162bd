"""What more resources than this machine can hold would take: a calculation from what was measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench.figures import Report, load, sizes

__all__ = ["ETCD_QUOTA", "Capacity", "capacity"]

RESYNC_SECONDS = 600.0
"""The runtime's default: every resource is reconciled once in this time."""
ENOUGH = 1000
"""Resources that must have been measured: of a hundred, start-up and noise are more than what they take."""
ETCD_QUOTA = 2.0
"""GiB that etcd takes before it refuses writes, unless it is told otherwise (8 is the most that is advised)."""

STATUS_EVENTS = 10
"""Of a StatefulSet and its one pod, from creation until it serves: not measured here, where no kubelet runs."""


@dataclass(frozen=True)
class Capacity:
    """What so many resources take. Sizes in MB (10⁶ bytes), times in seconds."""

    resources: int
    shards: int
    """Operators that share them by namespace, evenly."""
    rss_mb: float
    """Of each operator."""
    start_seconds: float
    """From the start of one operator until it has looked at all of its own; alone on two cores like those here."""
    start_mb: float
    """What it reads for that, as JSON."""
    prune_mb: float
    """What the metadata-only list reads, about every ten minutes."""
    resync_percent: float
    """Of a core, at most, for looking at every resource once per resync period: what a start takes per resource."""
    create_seconds: float
    """All of them made at once, at the rate measured; the control plane bounds it, not the number of operators."""
    create_watch_mb: float
    """What the watches deliver of that to one operator: every write once, as JSON, and what pods report."""
    etcd_mb: float
    """All of them, with the history of their making, before the next compaction; of the whole cluster."""


def capacity(report: Report, resources: int, shards: int = 1) -> Capacity | None:
    """Calculate from what was measured on the largest size; None when a part of that is missing, or too small."""
    largest = max((size for size in sizes(report) if load(report, "ours", size, "resources")), default=0)
    care, start = (report.get("care") or {}).get("ours"), (report.get("start") or {}).get("ours")
    if not care or not start or "restart" not in care or min(largest, care["made"]["resources"]) < ENOUGH:
        return None
    measured = {
        key: load(report, "ours", largest, key) or 0.0
        for key in (
            "resources_per_second",
            "rss_kb_per_resource",
            "rss_empty_mb",
            "json_bytes_per_resource",
            "children_per_resource",
            "writes_per_resource",
            "etcd_bytes_per_resource",
        )
    }
    looked_after, relist = care["made"]["resources"], care["made"]["relist"]
    each = resources / shards
    cpu = (care["restart"]["cpu"] - start["cpu"]) / looked_after
    look = (care["restart"]["settled_seconds"] - start["ready_seconds"]) / looked_after
    event = measured["json_bytes_per_resource"] / (measured["children_per_resource"] + 1)
    return Capacity(
        resources=resources,
        shards=shards,
        rss_mb=measured["rss_empty_mb"] + measured["rss_kb_per_resource"] * each / 1e3,
        start_seconds=start["ready_seconds"] + look * each,
        start_mb=relist["bytes"] / looked_after * each / 1e6,
        prune_mb=relist["metadata_bytes"] / looked_after * each / 1e6,
        resync_percent=cpu * each / RESYNC_SECONDS * 100,
        create_seconds=resources / measured["resources_per_second"],
        create_watch_mb=(measured["writes_per_resource"] + STATUS_EVENTS) * event * each / 1e6,
        etcd_mb=measured["etcd_bytes_per_resource"] * resources / 1e6,
    )
