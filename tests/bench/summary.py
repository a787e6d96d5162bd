"""What a run found, for people at a terminal."""

from __future__ import annotations

from rich import box, table
from rich.console import Console

from bench.figures import Report, number, tables
from bench.verdicts import verdicts

__all__ = ["show"]


def show(report: Report, console: Console) -> None:
    """Print every table of figures, then the targets and whether each is met."""
    for found in tables(report):
        shown = table.Table(title=found.title, title_justify="left", box=box.SIMPLE_HEAD)
        shown.add_column("")
        for column in found.columns:
            shown.add_column(column, justify="right")
        for row in found.rows:
            shown.add_row(row.name, *row.cells())
        console.print(shown)
    console.print(_targets(report))
    for error in report.get("errors") or ():
        console.print(f"[red]failed[/]: {error}", soft_wrap=True)


def _targets(report: Report) -> table.Table:
    shown = table.Table(title="Targets", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("target", "wanted", "measured", "on", ""):
        shown.add_column(column)
    for verdict in verdicts(report):
        met = {True: "[green]met[/]", False: "[red]missed[/]", None: "[dim]not measured[/]"}[verdict.met]
        sign = "≥" if verdict.at_least else "≤"
        shown.add_row(
            verdict.target, f"{sign} {number(verdict.limit)} {verdict.unit}", number(verdict.value), verdict.on, met
        )
    return shown
