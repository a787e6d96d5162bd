"""The upgrade graph of a channel: its head, its edges, and what is wrong with it.

Checks after operator-registry `alpha/model/model.go`; the advice on skipRange after operator-pipelines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kopf_sdk.bundle.semver import Version, in_range, parse_range

__all__ = ["Edge", "chain", "channel_problems", "edges", "heads", "link_by_version"]

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edge:
    """An upgrade from one version to another. `kind`: replaces, skips or skipRange."""

    old: str
    new: str
    kind: str


def heads(entries: Sequence[Entry]) -> list[str]:
    """Return the entries that no other one replaces or skips; a sound channel has exactly one."""
    incoming = {entry.get("replaces") for entry in entries} | {
        skip for entry in entries for skip in entry.get("skips") or ()
    }
    return sorted(str(entry["name"]) for entry in entries if entry["name"] not in incoming)


def channel_problems(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield what `opm validate` finds wrong with a channel's graph, in its words."""
    if not entries:
        yield "channel must contain at least one bundle"
        return
    top = heads(entries)
    if not top:
        yield "no channel head found in graph"
        return
    if len(top) > 1:
        yield f"multiple channel heads found in graph: {', '.join(top)}"
        return
    reached, cycle = chain(entries, top[0])
    if cycle:
        yield f"detected cycle in replaces chain of upgrade graph: {' -> '.join(cycle)}"
        return
    skipped = {skip for entry in entries for skip in entry.get("skips") or ()}
    stranded = sorted({str(entry["name"]) for entry in entries} - set(reached) - skipped)
    if stranded:
        yield f"channel contains one or more stranded bundles: {', '.join(stranded)}"


def chain(entries: Sequence[Entry], head: str) -> tuple[list[str], list[str]]:
    """Return what the chain of `replaces` reaches from the head, and the cycle it runs into, if any."""
    by_name = {str(entry["name"]): entry for entry in entries}
    skipped = {skip for entry in entries for skip in entry.get("skips") or ()}
    reached, current = [head], by_name.get(head)
    while current is not None:
        below = str(current.get("replaces") or "")
        if below in skipped:
            break
        if below in reached:
            return reached, [*reached[reached.index(below) :], below]
        reached.append(below)
        current = by_name.get(below)
    return reached, []


def edges(entries: Sequence[Entry], versions: Mapping[str, Version]) -> list[Edge]:
    """Return every upgrade that a channel offers between its own versions."""
    names = {str(entry["name"]) for entry in entries}
    found: list[Edge] = []
    for entry in entries:
        new = str(entry["name"])
        if entry.get("replaces"):
            found.append(Edge(str(entry["replaces"]), new, "replaces"))
        found.extend(Edge(skip, new, "skips") for skip in entry.get("skips") or ())
        if entry.get("skipRange"):
            known = {edge.old for edge in found if edge.new == new} | {new}
            inside = [
                name for name in names - known if name in versions and in_range(versions[name], str(entry["skipRange"]))
            ]
            found.extend(Edge(name, new, "skipRange") for name in sorted(inside))
    return found


def link_by_version(names: Collection[str], versions: Mapping[str, Version]) -> list[dict[str, Any]]:
    """Return channel entries in which every version replaces the one before it."""
    ordered = sorted(names, key=lambda name: versions[name])
    entries: list[dict[str, Any]] = []
    for number, name in enumerate(ordered):
        entries.append({"name": name, **({"replaces": ordered[number - 1]} if number else {})})
    return entries


def range_problem(text: str) -> str:
    """Return why a skipRange is malformed, "" when it is sound."""
    try:
        parse_range(text)
    except ValueError as error:
        return str(error)
    return ""
