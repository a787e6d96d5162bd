"""What the API server demands of a structural schema beyond its words, so that `kopf-sdk generate` says it first.

Source: apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`; for null beside an enumeration,
kube-openapi `pkg/validation/validate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

__all__ = ["problems"]

Problem = tuple[str, str]
"""What is wrong, and the way out."""

_TYPES = {"object", "array", "string", "integer", "number", "boolean"}
_OLD_SELF = re.compile(r"\boldSelf\b")


def problems(node: dict[str, Any], *, correlated: bool) -> Iterator[Problem]:
    """Yield what the API server would refuse of a finished schema, apart from what is inside of it.

    Parameters
    ----------
    node
        The schema.
    correlated
        Whether the API server knows, on an update, which old value the new one replaces.
    """
    if "type" in node and node["type"] not in _TYPES:
        yield f"no value has the type {node['type']}", "give it a type of JSON, and `| None` if it may be absent"
    if node.get("nullable") and "enum" in node:
        yield (
            "the API server refuses null beside an enumeration",
            "say that it may be absent, `| None = None`, or give the enumeration a value for it",
        )
    if "x-kubernetes-map-type" in node and node.get("type") != "object":
        yield "only lists, maps and objects can be atomic", "drop Atomic(): such a value is replaced as a whole anyway"
    for rule in node.get("x-kubernetes-validations", ()):
        if not rule.get("rule", "").strip():
            yield "a Rule has no expression", "write it in CEL, like self.min <= self.max"
        if "\n" in rule.get("message", ""):
            yield "the message of a Rule has several lines", "write it in one"
    if not correlated and any(_OLD_SELF.search(rule["rule"]) for rule in node.get("x-kubernetes-validations", ())):
        yield (
            "a rule reads oldSelf, but entries of this list or map have no old value: they cannot be told apart",
            "make the list Annotated[list[...], ListMap(...)], or put the rule on what holds it",
        )
    match node.get("x-kubernetes-list-type"):
        case "set":
            yield from _set_problems(node["items"])
        case "map":
            yield from _map_problems(node["x-kubernetes-list-map-keys"], node["items"])


def _set_problems(entry: dict[str, Any]) -> Iterator[Problem]:
    if entry.get("nullable"):
        yield "entries of a set cannot be null", "drop Nullable"
    if entry.get("type") == "object" and entry.get("x-kubernetes-map-type") != "atomic":
        yield "objects in a set have to be atomic", "use ListMap(...), or give the class atomic=True"
    if entry.get("type") == "array" and entry.get("x-kubernetes-list-type", "atomic") != "atomic":
        yield "lists in a set have to be atomic", "drop ListSet() or ListMap() of the entries"


def _map_problems(keys: list[str], entry: dict[str, Any]) -> Iterator[Problem]:
    if entry.get("nullable"):
        yield "entries of a ListMap cannot be null", "drop Nullable"
    if entry.get("type") != "object":
        yield "ListMap is for lists of objects", "use ListSet() for text and numbers"
        return
    fields = entry.get("properties", {})
    for key in keys:
        field = fields.get(key)
        if field is None:
            yield (
                f"ListMap({key!r}): its entries have no field {key}",
                f"name them as JSON does: {', '.join(fields) or 'there are none'}",
            )
        elif field.get("type") in ("object", "array"):
            yield f"ListMap({key!r}): entries are told apart by text, numbers or booleans", "name another field"
        elif field.get("nullable"):
            yield f"ListMap({key!r}): the field may be null", "drop Nullable"
        elif key not in entry.get("required", ()) and "default" not in field:
            yield (
                f"ListMap({key!r}): the field may be absent",
                "make it required, or give it a default",
            )
