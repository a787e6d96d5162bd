"""Makes a model read JSON as the API server does: no guessing of types, null is another word for absent.

pydantic's lax mode would take "5" for 5, its strict mode would refuse "2026-01-01T00:00:00Z" for a datetime; the API
server does neither. Sources: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
("Defaulting and Nullable"), apiextensions-apiserver `pkg/apiserver/schema/defaulting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from pydantic_core import CoreSchema, PydanticCustomError, PydanticUseDefault, core_schema

from kopf_sdk.api.markers import NULLABLE

__all__ = ["conform"]

_DONE = "kubernetes-conform"

# Every key under which pydantic-core keeps schemas inside a schema that is no model of its own.
_INNER = ("schema", "items_schema", "keys_schema", "values_schema", "extras_schema", "choices", "steps")
_INNER_PAIRS = ("lax_schema", "strict_schema", "json_schema", "python_schema")

# What kube-openapi's strfmt takes for `format: date-time` and `format: date`.
_TEXT_OF: dict[str, tuple[str, re.Pattern[str]]] = {
    "datetime": (
        "an RFC 3339 time like 2026-01-31T12:00:00Z",
        re.compile(r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"),
    ),
    "date": ("a date like 2026-01-31", re.compile(r"\d{4}-\d\d-\d\d")),
}


def conform(model: CoreSchema) -> None:
    """Change the core schema of one model in place, once. Models inside it have been changed when they were defined."""
    fields = cast("dict[str, Any]", model)
    metadata = fields.setdefault("metadata", {})
    if metadata.get(_DONE):
        return
    metadata[_DONE] = True
    while "fields" not in fields:
        if "schema" not in fields:
            return
        fields = fields["schema"]
    for field in fields["fields"].values():
        field["schema"] = _conform(field["schema"])


def _conform(schema: Any) -> Any:
    kind = schema["type"]
    if kind in ("int", "float", "bool", "str"):
        schema.setdefault("strict", True)
        return schema
    if kind in _TEXT_OF:
        return core_schema.no_info_before_validator_function(_text(*_TEXT_OF[kind]), schema)
    if kind in ("model", "definition-ref"):
        return schema

    for key in (*_INNER, *_INNER_PAIRS):
        if key in schema:
            schema[key] = _conform_each(schema[key])
    if kind == "default":
        return _null_means_default(schema)
    if kind == "dict" and not _takes_null(schema.get("values_schema", {"type": "any"})):
        return core_schema.no_info_before_validator_function(_without_nulls, schema)
    return schema


def _conform_each(inner: Any) -> Any:
    if isinstance(inner, list):
        return [(_conform(entry[0]), entry[1]) if isinstance(entry, tuple) else _conform(entry) for entry in inner]
    if not isinstance(inner.get("type"), str):
        return {tag: _conform(entry) for tag, entry in inner.items()}  # of a discriminated union
    return _conform(inner)


def _null_means_default(schema: Any) -> Any:
    """A field with a default takes it for null too, unless null is one of its values."""
    inner = schema["schema"]
    if _takes_null(inner) or (inner["type"] == "nullable" and schema.get("default", ...) is None):
        return schema
    optional = inner if inner["type"] == "nullable" else core_schema.nullable_schema(inner)
    schema["schema"] = core_schema.no_info_after_validator_function(_default_for_null, optional)
    return schema


def _takes_null(schema: Any) -> bool:
    while (
        not schema.get("metadata", {}).get(NULLABLE) and schema["type"].startswith("function-") and "schema" in schema
    ):
        schema = schema["schema"]
    return schema["type"] == "any" or bool(schema.get("metadata", {}).get(NULLABLE))


def _default_for_null(value: Any) -> Any:
    if value is None:
        raise PydanticUseDefault
    return value


def _without_nulls(value: Any) -> Any:
    return {key: entry for key, entry in value.items() if entry is not None} if isinstance(value, dict) else value


def _text(expected: str, pattern: re.Pattern[str]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        wrong = pattern.fullmatch(value) is None if isinstance(value, str) else isinstance(value, (int, float))
        if wrong:
            raise PydanticCustomError("text_format", "Input should be {expected}", {"expected": expected})
        return value

    return check
