"""bench.json as tables: what the console and docs/performance.md show, from the same lines."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Report", "Row", "Table", "load", "sizes", "slower", "stock", "tables"]

Report = Mapping[str, Any]
SIDES = ("ours", "shape", "tuned", "shipped")


@dataclass(frozen=True)
class Row:
    """One figure of every side."""

    name: str
    values: Sequence[float | None]
    """None: not measured."""
    better: str = "less"
    """`less`, `more`, or empty where neither is."""

    def cells(self) -> list[str]:
        """Return the values as text."""
        return [number(value) for value in self.values]


@dataclass(frozen=True)
class Table:
    """Figures side by side."""

    title: str
    columns: Sequence[str]
    """Of the values; the first column is the figure's name."""
    rows: Sequence[Row]


def sizes(report: Report) -> list[int]:
    """Return how many resources were made at once, smallest first."""
    return sorted({run["resources"] for run in report.get("load") or ()})


def load(report: Report, side: str, resources: int, key: str) -> float | None:
    """Return the median over the rounds of a side and size; None where it was not measured.

    What was made for the part `care` is one more round.
    """
    runs = [run for run in report.get("load") or () if run["side"] == side]
    runs += [care["made"] for name, care in (report.get("care") or {}).items() if name == side]
    found = [run[key] for run in runs if run["resources"] == resources and key in run]
    return statistics.median(found) if found else None


def number(value: float | None) -> str:
    """Write a figure with as many digits as mean something."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def tables(report: Report) -> list[Table]:
    """Return everything that was measured, in the order of the parts."""
    parts = (
        _floor(report),
        _stock(report),
        _care(report),
        _failover(report),
        _start(report),
        _node(report),
        _bundles(report),
    )
    return [*(_load(report, resources) for resources in sizes(report)), *(table for table in parts if table)]


def slower(report: Report) -> list[tuple[str, float, float]]:
    """Return what the tuned sample does better than ours: figure, ours, its. Only of tables that have both."""
    found = []
    for table in tables(report):
        if "ours" in table.columns and "tuned" in table.columns:
            mine, other = table.columns.index("ours"), table.columns.index("tuned")
            for row in table.rows:
                ours, theirs = row.values[mine], row.values[other]
                if ours is None or theirs is None or not row.better:
                    continue
                if ours > theirs if row.better == "less" else ours < theirs:
                    found.append((f"{row.name} ({table.title})", ours, theirs))
    return found


LOAD: Sequence[tuple[str, str, str]] = (
    ("resources per second", "resources_per_second", "more"),
    ("API objects per second", "objects_per_second", "more"),
    ("children per resource", "children_per_resource", ""),
    ("writes per resource", "writes_per_resource", ""),
    ("reads per resource", "reads_per_resource", "less"),
    ("operator CPU seconds per 1,000 resources", "cpu_seconds_per_1000", "less"),
    ("operator CPU milliseconds per child", "cpu_ms_per_child", "less"),
    ("control plane CPU seconds per 1,000 resources", "control_plane_cpu_per_1000", "less"),
    ("RSS without resources, MB", "rss_empty_mb", "less"),
    ("RSS with them, MB", "rss_mb", "less"),
    ("RSS per resource, KB", "rss_kb_per_resource", "less"),
    ("seconds until all are deleted", "deleted_seconds", "less"),
    ("seconds until their children are, too", "deleted_with_children_seconds", "less"),
)


def _load(report: Report, resources: int) -> Table:
    rows = [Row(name, [load(report, side, resources, key) for side in SIDES], better) for name, key, better in LOAD]
    return Table(f"{resources:,} resources at once", SIDES, rows)


def _floor(report: Report) -> Table | None:
    """Our children, made by an operator and made by none."""
    found = report.get("floor") or {}
    if not found:
        return None
    size = found["resources"]
    rows = [
        Row(name, [load(report, "ours", size, key), _at(found, key)], "")
        for name, key in (
            ("resources per second", "resources_per_second"),
            ("API objects per second", "objects_per_second"),
            ("control plane CPU seconds per 1,000 resources", "control_plane_cpu_per_1000"),
        )
    ]
    return Table(f"The children of {size:,} resources, created without any operator", ("ours", "no operator"), rows)


def stock(report: Report, side: str, key: str) -> float | None:
    """Return the median over the rounds of a side where controllers have Kubernetes' request limits."""
    found = [run[key] for run in (report.get("stock") or {}).get("runs", ()) if run["side"] == side]
    return statistics.median(found) if found else None


def _stock(report: Report) -> Table | None:
    found = report.get("stock") or {}
    if not found:
        return None
    rows = [
        Row(name, [stock(report, side, key) for side in SIDES], better)
        for name, key, better in (
            ("resources per second", "resources_per_second", "more"),
            ("operator CPU seconds per 1,000 resources, until then", "cpu_seconds_per_1000", "less"),
            ("control plane CPU seconds per 1,000 resources, until then", "control_plane_cpu_per_1000", ""),
        )
    ]
    title = f"{found['resources']:,} resources at once, controllers with Kubernetes' own request limits"
    return Table(title, SIDES, rows)


CARE: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("requests per minute at rest", ("rest", "requests_per_minute"), "less"),
    ("CPU at rest, % of a core", ("rest", "cpu_percent"), "less"),
    ("RSS at rest, MB", ("rest", "rss_mb"), "less"),
    ("restart: requests", ("restart", "requests"), "less"),
    ("restart: writes", ("restart", "writes"), "less"),
    ("restart: seconds until ready", ("restart", "ready_seconds"), "less"),
    ("restart: seconds until all was looked at", ("restart", "settled_seconds"), "less"),
    ("restart: operator CPU seconds", ("restart", "cpu"), "less"),
    ("a spoiled child repaired, p50 ms", ("repair_idle", "p50_ms"), "less"),
    ("a spoiled child repaired, p99 ms", ("repair_idle", "p99_ms"), "less"),
    ("the same while others are created, p50 ms", ("repair_loaded", "p50_ms"), "less"),
    ("the same while others are created, p99 ms", ("repair_loaded", "p99_ms"), "less"),
    ("spec changed until the workload is, p50 ms", ("change", "p50_ms"), "less"),
    ("spec changed until the workload is, p99 ms", ("change", "p99_ms"), "less"),
)


def _care(report: Report) -> Table | None:
    care = report.get("care") or {}
    if not care:
        return None
    resources = max(figures["made"]["resources"] for figures in care.values())
    rows = [Row(name, [_at(care, side, *path) for side in ("ours", "tuned")], better) for name, path, better in CARE]
    others = max(figures.get("others", 0) for figures in care.values())
    return Table(f"Looking after {resources:,} resources, and {others:,} others under load", ("ours", "tuned"), rows)


def _failover(report: Report) -> Table | None:
    found = report.get("failover") or {}
    if not found:
        return None
    rows = [
        Row(f"{name}, s", [_at(found, f"{side} {signal}", "seconds") for side in ("ours", "tuned")])
        for name, signal in (("the leader is stopped (SIGTERM)", "SIGTERM"), ("it is killed (SIGKILL)", "SIGKILL"))
    ]
    return Table("The standby has repaired a child after", ("ours", "tuned"), rows)


def _start(report: Report) -> Table | None:
    start, weights = report.get("start") or {}, report.get("weights") or {}
    if not start and not weights:
        return None
    rows = [
        Row("import of all modules, s", [_at(start, "import_seconds"), None]),
        *_pairs(start, (("ready, s", "ready_seconds"), ("CPU, s", "cpu"), ("RSS, MB", "rss_mb"))),
        Row(
            "image (of the sample: its binary), MB",
            [_at(weights, "ours_image_mb"), _at(weights, "peer_binary_mb")],
        ),
    ]
    return Table("Start with nothing to look after", ("ours", "tuned"), rows)


def _node(report: Report) -> Table | None:
    found = report.get("node") or {}
    if not found:
        return None
    return Table("On a node with real pods", ("ours", "tuned"), _pairs(found, (("apply → first get, s", "seconds"),)))


def _bundles(report: Report) -> Table | None:
    found = report.get("bundles") or {}
    if not found:
        return None
    columns = ("ours s", "operator-sdk s", "ours MiB", "operator-sdk MiB")
    rows = [
        Row(
            chart,
            [_at(one, side, key) for key in ("seconds", "peak") for side in ("ours", "theirs")],
        )
        for chart, one in sorted(found.items())
    ]
    return Table("A bundle of a chart", columns, rows)


def _pairs(found: Report, names: Iterable[tuple[str, str]]) -> list[Row]:
    return [Row(name, [_at(found, side, key) for side in ("ours", "tuned")]) for name, key in names]


def _at(found: Report, *path: str) -> float | None:
    value: Any = found
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else float(value)
