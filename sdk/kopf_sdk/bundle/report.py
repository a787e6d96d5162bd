"""The report: one line per rendered object, the notices, the findings of validation and diff; as text or JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import click

from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice
from kopf_sdk.bundle.findings import Finding

__all__ = ["Report"]

_COLOR = {
    Disposition.CSV: "green",
    Disposition.FILE: "green",
    Disposition.TRANSFORMED: "yellow",
    Disposition.LEFT_OUT: "yellow",
    Disposition.NO_PLACE: "red",
}
_LEVEL_COLOR = {Level.INFO: "blue", Level.WARNING: "yellow", Level.ERROR: "red"}


@dataclass(slots=True, eq=False, repr=False)
class Report:
    """Everything a command has to say about a bundle."""

    title: str
    fates: Collection[Fate] = ()
    notices: Collection[Notice] = ()
    findings: Collection[Finding] = ()
    differences: Collection[Notice] = ()
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether anything in it is an error."""
        stuck = any(fate.disposition is Disposition.NO_PLACE for fate in self.fates)
        return stuck or Level.ERROR in self._levels()

    def _levels(self) -> list[Level]:
        return [*(n.level for n in (*self.notices, *self.differences)), *(f.level for f in self.findings)]

    def to_json(self) -> str:
        """Return the report as JSON, for scripts."""
        return json.dumps(
            {
                "title": self.title,
                "ok": not self.failed,
                **self.summary,
                "objects": [
                    {
                        "kind": fate.ref.kind,
                        "name": fate.ref.name,
                        "namespace": fate.ref.namespace or None,
                        "fate": fate.disposition.value,
                        "where": fate.where or None,
                        "reason": fate.reason or None,
                        "template": fate.source or None,
                        "remedies": list(fate.remedies),
                    }
                    for fate in self.fates
                ],
                "notices": [_notice(item) for item in self.notices],
                "differences": [_notice(item) for item in self.differences],
                "findings": [item.as_dict() for item in self.findings],
            },
            indent=2,
            ensure_ascii=False,
        )

    def print(self, *, quiet: bool = False, every_difference: bool = False) -> None:
        """Print the report for people.

        `quiet`: only what needs attention. `every_difference`: also those that OLM makes itself, which are counted
        otherwise.
        """
        said: set[tuple[str, str]] = set()
        for fate in () if quiet else self.fates:
            _print_fate(fate)
        for notice in self.notices:
            if not (quiet and notice.level is Level.INFO):
                hint = _once(said, notice.code, notice.hint)
                _print_line(notice.level, notice.code, _subject(notice), notice.message, hint)
        for notice in self.differences:
            if every_difference or notice.level is not Level.INFO:
                _print_line(notice.level, "diff", _subject(notice), notice.message, _once(said, "diff", notice.hint))
        expected = Counter(notice.code for notice in self.differences if notice.level is Level.INFO)
        if expected and not quiet and not every_difference:
            listing = ", ".join(f"{count} {code}" for code, count in sorted(expected.items()))
            _print_line(Level.INFO, "diff", "", f"OLM installs what Helm installs, but for {listing}")
        for finding in self.findings:
            if not (quiet and finding.level is Level.INFO):
                hint = _once(said, finding.rule, finding.hint)
                _print_line(finding.level, finding.rule, f"{finding.where}: ", finding.message, hint)
        self._print_remedies()
        counts = Counter(fate.disposition.value for fate in self.fates)
        levels = Counter(level.value for level in self._levels())
        parts = [f"{number} {name}" for name, number in counts.items()]
        parts += [
            f"{levels[name]} {name}{'s' if levels[name] != 1 else ''}" for name in ("error", "warning") if levels[name]
        ]
        click.echo(f"{click.style(self.title, bold=True)}: {', '.join(parts) or 'nothing to report'}")

    def _print_remedies(self) -> None:
        for fate in self.fates:
            if fate.disposition is not Disposition.NO_PLACE:
                continue
            click.echo(f"\n{click.style(str(fate.ref), fg='red', bold=True)} has no place in the bundle: {fate.reason}")
            if fate.remedies:
                click.echo(f"Ways out, as lines for bundle.yaml (one of {len(fate.remedies)}):")
            for number, way in enumerate(fate.remedies, start=1):
                click.echo(f"{click.style(f'  # {number}', dim=True)}\n{textwrap.indent(way, '  ')}")


def _subject(notice: Notice) -> str:
    return f"{notice.ref}: " if notice.ref else ""


def _once(said: set[tuple[str, str]], code: str, hint: str) -> str:
    """Return a hint the first time that it is given for a code, "" afterwards: many lines may lead to the same one."""
    if (code, hint) in said:
        return ""
    said.add((code, hint))
    return hint


def _print_fate(fate: Fate) -> None:
    tail = " – ".join(part for part in (fate.where, fate.reason) if part)
    label = click.style(f"{fate.disposition.value:11}", fg=_COLOR[fate.disposition])
    click.echo(f"{label} {fate.ref}  {click.style(tail, dim=True)}")


def _print_line(level: Level, label: str, subject: str, message: str, hint: str = "") -> None:
    click.echo(f"{click.style(level.value, fg=_LEVEL_COLOR[level])} [{label}] {subject}{message}")
    if hint:
        click.echo(click.style(textwrap.indent(hint, "  "), dim=True))


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "level": notice.level.value,
        "code": notice.code,
        "object": str(notice.ref) if notice.ref else None,
        "message": notice.message,
        "hint": notice.hint or None,
    }
