"""What the cache drill found: rows, what was expected of them, a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

__all__ = ["HANDED_OVER", "NOTHING", "Row", "document", "shortfalls", "table"]

NOTHING = 0.0
HANDED_OVER = 0.001
"""Share of the items that may be lost where they are copied to a spare pod and back."""


@dataclass(frozen=True)
class Row:
    """One action, and what it cost.

    Attributes
    ----------
    may_lose
        Share of the items; None where nothing is promised.
    before, after
        Items that were there with the right value.
    new_pods, restarts
        Pods that took another one's place, and memcached processes that started again in the same pod.
    requests, failed, retried, wrong, slowest
        What the client saw meanwhile; `slowest` in seconds.
    note
        What the status or an event said, or what the number does not.
    """

    action: str
    seconds: float
    before: int
    after: int
    new_pods: int
    restarts: int
    requests: int
    failed: int
    retried: int
    wrong: int
    slowest: float
    may_lose: float | None = None
    note: str = ""

    @property
    def lost(self) -> int:
        """Items that are not there any more."""
        return self.before - self.after


def shortfalls(rows: Sequence[Row]) -> list[str]:
    """Return, in sentences, where a promise was not kept."""
    found = []
    for row in rows:
        if row.may_lose is not None and row.lost > row.may_lose * row.before:
            allowed = f"at most {row.may_lose:.1%}" if row.may_lose else "none"
            found.append(f"{row.action}: {row.lost} of {row.before} items lost, {allowed} expected")
        if row.failed:
            found.append(f"{row.action}: {row.failed} of {row.requests} requests failed, none expected")
        if row.wrong:
            found.append(f"{row.action}: {row.wrong} answers were out of date")
    return found


def table(title: str, rows: Sequence[Row]) -> Table:
    """Return the rows for people."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("action")
    for name in ("seconds", "items before", "after", "lost", "failed requests", "slowest (s)", "new pods", "restarts"):
        shown.add_column(name, justify="right")
    shown.add_column("note")
    for row in rows:
        lost = f"{row.lost}" if not row.lost else f"[red]{row.lost}[/] ({row.lost / row.before:.1%})"
        shown.add_row(
            row.action,
            f"{row.seconds:.1f}",
            str(row.before),
            str(row.after),
            lost,
            f"{row.failed} of {row.requests}",
            f"{row.slowest:.1f}",
            str(row.new_pods),
            str(row.restarts),
            row.note,
        )
    return shown


def document(sides: dict[str, Sequence[Row]], problems: Sequence[str]) -> dict[str, Any]:
    """Return everything for programs."""
    rows = {name: [asdict(row) | {"lost": row.lost} for row in found] for name, found in sides.items()}
    return {"passed": not problems, "problems": list(problems), **rows}
