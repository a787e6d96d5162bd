"""The value with which a chart leaves an object out: the condition around it, read from the text of its template.

Only plain conditions are understood (`if .Values.a.b`, `if not …`, `if and … …`); nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.fate import Disposition, Fate, value_way

__all__ = ["hiding_value", "with_values"]

_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_ACTION = re.compile(r"\{\{-?\s*(if|else|end|with|range|define|block)\b(.*?)-?\}\}", re.DOTALL)
_VALUE = r"\$?\w*\.Values\.([\w.]+)"
_PLAIN = re.compile(rf"(not\s+)?\(?{_VALUE}\)?")
_ALL_OF = re.compile(rf"and(?:\s+\(?{_VALUE}\)?)+")


def with_values(fate: Fate, chart: Chart) -> Fate:
    """Return a fate whose way out by values names the value, where the template tells it."""
    if fate.disposition is not Disposition.NO_PLACE or not fate.remedies or not fate.source:
        return fate
    found = hiding_value(chart.template(fate.source), fate.ref.kind)
    if found is None:
        return fate
    path, present = found
    subcharts = re.findall(r"/charts/([^/]+)", fate.source)
    if not path.startswith("global."):
        path = ".".join([*subcharts, path])
    way = value_way(fate.source, _assignment(path, present, chart.values))
    return replace(fate, remedies=(*fate.remedies[:-1], way))


def hiding_value(template: str, kind: str) -> tuple[str, bool] | None:
    """Return the value that decides whether all objects of a kind are in a template, and what hides them.

    Of several conditions the innermost counts: the fewest other objects depend on it.
    """
    text = _COMMENT.sub(lambda match: " " * len(match[0]), template)
    places = [match.start() for match in re.finditer(rf"^kind:\s*[\"']?{kind}[\"']?\s*$", text, re.MULTILINE)]
    if not places:
        return None
    around = [_conditions(text[:place]) for place in places]
    common = [condition for condition in around[0] if all(condition in others for others in around)]
    return next(filter(None, map(_decisive, reversed(common))), None)


def _conditions(text: str) -> list[str]:
    """Return the conditions of the blocks that are open at the end of a text, outermost first."""
    stack: list[str] = []
    for word, rest in _ACTION.findall(text):
        if word == "end":
            del stack[-1:]
        elif word == "else":
            stack[-1:] = [""]
        else:
            stack.append(" ".join(rest.split()) if word == "if" else "")
    return stack


def _decisive(condition: str) -> tuple[str, bool] | None:
    plain = _PLAIN.fullmatch(condition)
    if plain:
        return plain[2], bool(plain[1])
    last = _ALL_OF.fullmatch(condition)
    return (last[1], False) if last else None


def _assignment(path: str, present: bool, defaults: Mapping[str, Any]) -> str:
    """Return `a: {b: false}` for `a.b`; a text or a list is emptied instead."""
    *parents, key = path.split(".")
    default: Any = defaults
    for part in (*parents, key):
        default = default.get(part) if isinstance(default, Mapping) else None
    empties = ((str, '""'), (list, "[]"), (dict, "null"))
    empty = next((text for kind, text in empties if isinstance(default, kind)), "false")
    text = f"{key}: {'true' if present else empty}"
    for parent in reversed(parents):
        text = f"{parent}: {{{text}}}"
    return text
