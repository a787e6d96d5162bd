"""The targets of the comparison, and whether a run met them. Ratios are taken within the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import Report, load, sizes

__all__ = ["LARGE", "Verdict", "verdicts"]

LARGE = 1000
"""From here on a size is judged."""
NOISE = 1.05
"""Two runs of the same size differ by this much."""


@dataclass(frozen=True)
class Verdict:
    """One target."""

    target: str
    value: float | None
    """None: this run did not measure it."""
    limit: float
    at_least: bool
    """Whether more is better; else `limit` is the most that is allowed."""
    unit: str = ""
    on: str = ""
    """What it was measured on."""

    @property
    def met(self) -> bool | None:
        """Whether it is; None when it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Return it for bench.json."""
        return {**asdict(self), "met": self.met}


def verdicts(report: Report) -> list[Verdict]:
    """Return every target of the project, in order."""
    return [*_throughput(report), *_cost(report), *_care(report)]


def _throughput(report: Report) -> Iterator[Verdict]:
    for side, other, limit, target in (
        ("ours", "tuned", 1.0, "resources per second, ours : tuned sample"),
        ("ours", "shipped", 2.0, "resources per second, ours : sample as shipped"),
        ("shape", "tuned", 1.8, "resources per second, one child as the sample has : tuned sample"),
    ):
        for size in _large(report, side, other):
            value = _ratio(report, side, other, "resources_per_second", size)
            yield Verdict(target, value, limit, True, "×", _on(size))
    size = _largest(report, "ours")
    yield Verdict("children per resource", _load(report, "ours", size, "children_per_resource"), 4, True, "", _on(size))
    small, large = _growth(report)
    before, after = (_load(report, "ours", size, "resources_per_second") for size in (small, large))
    yield Verdict(
        "time per resource, many : few",
        before / after if before and after else None,
        NOISE,
        False,
        "×",
        f"N={large:,} : N={small:,}" if small and large else "",
    )


def _cost(report: Report) -> Iterator[Verdict]:
    size = _largest(report, "ours", "tuned")
    yield Verdict(
        "operator CPU per child, ours : tuned sample",
        _ratio(report, "ours", "tuned", "cpu_ms_per_child", size),
        1.0,
        False,
        "×",
        _on(size),
    )
    size = _largest(report, "ours")
    writes, children = (_load(report, "ours", size, f"{what}_per_resource") for what in ("writes", "children"))
    extra = writes - children if writes is not None and children is not None else None
    yield Verdict("writes per resource beside one per child", extra, 2, False, "", _on(size))
    slope = _load(report, "ours", size, "rss_kb_per_resource")
    yield Verdict("RSS per resource with all children", slope, 60, False, "KB", _on(size))


def _care(report: Report) -> Iterator[Verdict]:
    ours = (report.get("care") or {}).get("ours") or {}
    made = ours.get("made", {}).get("resources")
    yield Verdict("writes of a restart", ours.get("restart", {}).get("writes"), 0, False, "", _on(made))
    for key, target in (("repair_idle", "repair, p99"), ("repair_loaded", "repair while others are created, p99")):
        yield Verdict(target, ours.get(key, {}).get("p99_ms"), 1000, False, "ms", _on(made))
    seconds = (report.get("failover") or {}).get("ours SIGTERM", {}).get("seconds")
    yield Verdict("a stopped leader is followed", seconds, 2, False, "s")


def _load(report: Report, side: str, size: int | None, key: str) -> float | None:
    return load(report, side, size, key) if size else None


def _ratio(report: Report, side: str, other: str, key: str, size: int | None) -> float | None:
    ours, theirs = _load(report, side, size, key), _load(report, other, size, key)
    return ours / theirs if ours is not None and theirs else None


def _large(report: Report, *sides: str) -> list[int | None]:
    """Return the sizes from 1,000 on that all of them were measured with; the largest one where all are smaller."""
    found = _common(report, *sides)
    return [size for size in found if size >= LARGE] or list(found[-1:]) or [None]


def _largest(report: Report, *sides: str) -> int | None:
    """Return the largest size that all of them were measured with."""
    found = _common(report, *sides)
    return found[-1] if found else None


def _common(report: Report, *sides: str) -> list[int]:
    return [size for size in sizes(report) if all(load(report, side, size, "resources") for side in sides)]


def _growth(report: Report) -> tuple[int | None, int | None]:
    """Return the two largest sizes from 1,000 on."""
    found = [size for size in _common(report, "ours") if size >= LARGE]
    return (found[-2], found[-1]) if len(found) > 1 else (None, None)


def _on(size: int | None) -> str:
    return f"N={size:,}" if size else ""
