"""Hypothesis strategies: from the structural schema of a kind to resources that fit it, nearly fit it, or do not."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

__all__ = ["resources"]

Schema = dict[str, Any]
JsonStrategy = st.SearchStrategy[Any]

# No surrogates, which JSON cannot carry, and no control characters.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
INT64 = st.integers(-(2**53), 2**53)

# Values that are wrong nearly everywhere. Not among them: 1.0, which the API server takes for the integer 1 and stores
# as such, so that no operator ever reads it.
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**40, 0.25, -1.5),
    *("", "x", "5", "1.5", "true", "null", "é", "x" * 20, "x" * 5000, "64Mi", "1h30m", "2026-01-31T12:00:00Z"),
    *([], {}, [None], [[]], ["a", "a"], [{}], {"a": None}, {"a": 1}, {"a": "b"}, {"name": "a"}, [0] * 200),
]

FORMATS: dict[str, JsonStrategy] = {
    "ipv4": st.just("192.0.2.1"),
    "uuid": st.uuids().map(str),
    "date": st.dates().map(str),
    "date-time": st.datetimes().map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")),
}


def resources(schema: Schema, head: dict[str, Any]) -> JsonStrategy:
    """Return resources of a kind: valid ones with none, one or two places broken.

    Parameters
    ----------
    schema
        The structural schema of the kind.
    head
        apiVersion, kind and metadata, which stay as they are.
    """
    body = {name: value for name, value in schema["properties"].items() if name not in (*head, "status")}
    shape = {"type": "object", "properties": body, "required": schema.get("required", [])}
    return _broken(shape).map(lambda resource: resource | head)


@st.composite
def _broken(draw: st.DrawFn, schema: Schema) -> Any:
    root = draw(_valid(schema))
    for _ in range(draw(st.sampled_from([0, 1, 2, 3]))):
        paths = _paths(root)
        if not paths:
            break
        *above, key = draw(st.sampled_from(paths))
        action = draw(st.sampled_from(["replace", "replace", "replace", "null", "remove", "add"]))
        # A copy: what was drawn is never changed, several places may share it.
        root = copy.deepcopy(root)
        holder = functools.reduce(lambda value, step: value[step], above, root)
        if action == "remove":
            del holder[key]
        elif action == "add" and isinstance(holder, dict):
            holder["unknownField"] = draw(st.sampled_from(ODD))
        else:
            holder[key] = None if action == "null" else draw(st.sampled_from(_odd(holder[key])))
    return root


def _paths(value: Any) -> list[tuple[Any, ...]]:
    """Return the path of every place below a value.

    What is inside an embedded object stays whole: its metadata is checked like any metadata, by the API server alone.
    """
    if isinstance(value, dict) and "apiVersion" in value:
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(key, *below) for key in keys for below in [(), *_paths(value[key])]]


def _odd(value: Any) -> list[Any]:
    """Return values that may be wrong in the place of a value: neighbours of it, and others."""
    near: list[Any] = []
    if isinstance(value, int) and not isinstance(value, bool):
        near = [value - 1, value + 1, value * 100, str(value), value + 0.5]
    elif isinstance(value, str):
        near = [value + " ", value * 20, value[1:], value.upper()]
    elif isinstance(value, list):
        near = [value * 2, value[1:], value * 20]
    return [*near, *ODD]


def _valid(schema: Schema) -> JsonStrategy:
    if "enum" in schema:
        strategy = st.sampled_from(schema["enum"])
    elif schema.get("x-kubernetes-int-or-string"):
        strategy = st.one_of(st.integers(0, 2**31), _text(schema))
    elif "type" not in schema:
        strategy = st.one_of(TEXT, st.integers(0, 9), st.dictionaries(st.sampled_from("abc"), TEXT))
    else:
        strategy = _BY_TYPE[schema["type"]](schema)
    return st.one_of(strategy, st.none()) if schema.get("nullable") else strategy


def _text(schema: Schema) -> JsonStrategy:
    if "format" in schema:
        return FORMATS[schema["format"]]
    low, high = schema.get("minLength", 0), schema.get("maxLength", 5000)
    if "pattern" in schema:
        # ASCII, as RE2 reads \d and \w; fullmatch, because $ also matches before a last newline in Python.
        matching = st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=schema["pattern"].startswith("^"))
        return matching.filter(lambda text: low <= len(text) <= high and "\n" not in text)
    return st.text(
        st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=low, max_size=min(high, low + 12)
    )


def _integer(schema: Schema) -> JsonStrategy:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", -(2**31)) + bool(schema.get("exclusiveMinimum"))
    high = schema.get("maximum", 2**31) - bool(schema.get("exclusiveMaximum"))
    return st.integers(-(-low // step), high // step).map(lambda number: number * step)


def _number(schema: Schema) -> JsonStrategy:
    numbers = st.floats(
        schema.get("minimum", -1e6),
        schema.get("maximum", 1e6),
        exclude_min=bool(schema.get("exclusiveMinimum")),
        exclude_max=bool(schema.get("exclusiveMaximum")),
        allow_subnormal=False,
    )
    return numbers.map(lambda number: number or 0)  # no -0.0


def _array(schema: Schema) -> JsonStrategy:
    low, high = schema.get("minItems", 0), min(schema.get("maxItems", 4), schema.get("minItems", 0) + 3)
    unique: Callable[[Any], Any] | None = None
    if schema.get("x-kubernetes-list-type") == "set":
        unique = repr
    elif keys := schema.get("x-kubernetes-list-map-keys"):
        properties = schema["items"]["properties"]
        unique = lambda entry: repr([entry.get(key, properties[key].get("default")) for key in keys])  # noqa: E731
    return st.lists(_valid(schema["items"]), min_size=low, max_size=high, unique_by=unique)


def _object(schema: Schema) -> JsonStrategy:
    if schema.get("x-kubernetes-embedded-resource"):
        return st.just({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}})
    if isinstance(schema.get("additionalProperties"), dict):
        low = schema.get("minProperties", 0)
        high = min(schema.get("maxProperties", 3), low + 3)
        return st.dictionaries(
            st.text("abc/.", min_size=1, max_size=4),
            _valid(schema["additionalProperties"]),
            min_size=low,
            max_size=high,
        )
    if "properties" not in schema:
        return st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, 1, "x", [None], {"b": None}]))
    return _fields(schema)


@st.composite
def _fields(draw: st.DrawFn, schema: Schema) -> Any:
    """A few of the fields: every one is met often enough, and large kinds cost no more than small ones."""
    properties, required = schema["properties"], schema.get("required", ())
    optional = [name for name in properties if name not in required]
    low = max(schema.get("minProperties", 0) - len(required), 0)
    high = min(schema.get("maxProperties", 1000) - len(required), 6, len(optional))
    chosen = draw(st.lists(st.sampled_from(optional), unique=True, min_size=low, max_size=high)) if optional else []
    return {name: draw(_valid(properties[name])) for name in (*required, *chosen)}


_BY_TYPE: dict[str, Callable[[Schema], JsonStrategy]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema: st.booleans(),
    "array": _array,
    "object": _object,
}
