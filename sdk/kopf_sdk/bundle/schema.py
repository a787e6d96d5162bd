"""Custom resources checked against the structural schema of their CRD (OpenAPI v3 as Kubernetes restricts it).

Rules in CEL (`x-kubernetes-validations`) are not evaluated: only an API server does that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["violations"]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (Mapping,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def violations(value: Any, schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield what is wrong with a value, each with its field path; unknown fields count, the API server prunes them."""
    if value is None:
        if not schema.get("nullable"):
            yield f"{path or 'the value'}: null is not allowed"
        return
    expected = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            yield f"{path}: an integer or text is expected, this is {_called(value)}"
        return
    if expected in _TYPES:
        wrong = not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean")
        if wrong and not (expected == "integer" and isinstance(value, float) and value.is_integer()):
            yield f"{path or 'the value'}: {expected} is expected, this is {_called(value)}"
            return
    if schema.get("enum") is not None and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {', '.join(map(repr, schema['enum']))}"
    yield from _bounds(value, schema, path)
    if isinstance(value, Mapping):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from violations(item, schema.get("items") or {}, f"{path}[{number}]")
    yield from _combined(value, schema, path)


def _object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties: Mapping[str, Any] = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    for key in schema.get("required") or ():
        if key not in value and "default" not in (properties.get(key) or {}):
            yield f"{path}{'.' if path else ''}{key}: required, and missing"
    embedded = {"apiVersion", "kind", "metadata"} if schema.get("x-kubernetes-embedded-resource") or not path else set()
    for key, inner in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key in properties:
            if not (key == "metadata" and not path):
                yield from violations(inner, properties[key] or {}, where)
        elif isinstance(additional, Mapping):
            yield from violations(inner, additional, where)
        elif not (additional or key in embedded or schema.get("x-kubernetes-preserve-unknown-fields")) and (
            properties or not path
        ):
            yield f"{where}: unknown field"


def _bounds(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and (value < low or (value == low and schema.get("exclusiveMinimum"))):
            yield f"{path}: {value} is below the minimum {low}"
        if high is not None and (value > high or (value == high and schema.get("exclusiveMaximum"))):
            yield f"{path}: {value} is above the maximum {high}"
    if isinstance(value, str):
        pattern = schema.get("pattern")
        if pattern is not None and not _matches(str(pattern), value):
            yield f"{path}: {value!r} does not match {pattern}"
    if isinstance(value, (str, list, Mapping)):
        noun = {"str": "Length", "list": "Items"}.get(type(value).__name__, "Properties")
        yield from _size(value, schema.get(f"min{noun}"), schema.get(f"max{noun}"), path)


def _size(value: Sequence[Any] | Mapping[str, Any], low: int | None, high: int | None, path: str) -> Iterator[str]:
    if low is not None and len(value) < low:
        yield f"{path}: {len(value)} is less than the minimum size {low}"
    if high is not None and len(value) > high:
        yield f"{path}: {len(value)} is more than the maximum size {high}"


def _combined(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """allOf, anyOf, oneOf, not.

    In structural schemas they only narrow, so unknown fields are not judged again there.
    """

    def holds(part: Mapping[str, Any]) -> bool:
        return all("unknown field" in problem for problem in violations(value, part, path or "value"))

    for part in schema.get("allOf") or ():
        yield from (problem for problem in violations(value, part, path) if "unknown field" not in problem)
    if schema.get("anyOf") and not any(holds(part) for part in schema["anyOf"]):
        yield f"{path or 'the value'}: matches none of the alternatives (anyOf)"
    if schema.get("oneOf") and sum(holds(part) for part in schema["oneOf"]) != 1:
        yield f"{path or 'the value'}: must match exactly one of the alternatives (oneOf)"
    if schema.get("not") and holds(schema["not"]):
        yield f"{path or 'the value'}: matches what it must not (not)"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:  # Go's RE2 has a few forms that Python lacks; no verdict then
        return True


def _called(value: Any) -> str:
    return {
        "Mapping": "an object",
        "dict": "an object",
        "list": "an array",
        "str": "text",
        "bool": "a boolean",
        "int": "a number",
        "float": "a number",
    }.get(type(value).__name__, type(value).__name__)
