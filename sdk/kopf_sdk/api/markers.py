"""What a type annotation cannot say of a field: how lists merge, what is kept unknown, what may be null.

Each marker stands in `Annotated[...]` and changes two things alike: the schema the API server checks, and what the
Python model accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "Atomic",
    "EmbeddedResource",
    "Example",
    "Format",
    "ListMap",
    "ListSet",
    "Nullable",
    "PreserveUnknownFields",
    "may_be_null",
]

T = TypeVar("T")

NULLABLE = "kubernetes-nullable"
"""Key in the metadata of a core schema: null is a value of the field, not another word for absent."""


class ListMap:
    """The list is a map: entries are told apart by the named fields (JSON names), and merged one by one.

    Examples
    --------
    >>> ports: Annotated[list[Port], ListMap("name", "protocol")]  # doctest: +SKIP
    """

    def __init__(self, *keys: str) -> None:
        if not keys:
            raise TypeError("ListMap needs the JSON names of the fields that tell entries apart, like ListMap('name')")
        self.keys = keys

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_unique(self._key), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(self.keys)}

    def _key(self, entry: Any) -> object:
        # The model's own JSON, so that names and defaults are those that the API server compares.
        values = entry.model_dump(mode="json", by_alias=True)
        return tuple(values.get(key) for key in self.keys)


class ListSet:
    """The list is a set: no entry stands in it twice, and entries of several writers are united."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_unique(lambda entry: entry), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"x-kubernetes-list-type": "set"}


class Atomic:
    """The list, map or object is replaced as a whole: two writers never share it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rendered = handler(schema)
        kind = "list" if handler.resolve_ref_schema(rendered).get("type") == "array" else "map"
        return rendered | {f"x-kubernetes-{kind}-type": "atomic"}


class PreserveUnknownFields:
    """Keep fields that no schema names: on `Any`, on `dict[str, Any]` or on a model with `extra="allow"`."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rendered = handler(schema)
        if rendered.get("additionalProperties") is True:
            del rendered["additionalProperties"]
        return rendered | {"x-kubernetes-preserve-unknown-fields": True}


class EmbeddedResource(PreserveUnknownFields):
    """A whole Kubernetes object of any kind: apiVersion and kind are required, the API server checks metadata."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_has_type_meta, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rendered = super().__get_pydantic_json_schema__(schema, handler)
        return {"type": "object"} | rendered | {"x-kubernetes-embedded-resource": True}


@dataclass(frozen=True)
class Format:
    """A named format of text or numbers (`ipv4`, `cidr`, `uri`, `int32`...). The API server alone checks it."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"format": self.name}


@dataclass(frozen=True)
class Example:
    """A value that documentation shows."""

    value: Any

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"example": self.value}


class _MayBeNull:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        return cast("CoreSchema", {**schema, "metadata": {**schema.get("metadata", {}), NULLABLE: True}})


def may_be_null(metadata: Sequence[Any]) -> bool:
    """Tell from a field's metadata whether null is one of its values."""
    return any(isinstance(entry, _MayBeNull) for entry in metadata)


Nullable = Annotated[T | None, _MayBeNull()]
"""`Nullable[str]`: null is stored and means something. `str | None` only means that the field may be absent."""


def _unique(key: Callable[[Any], object]) -> Callable[[Any], Any]:
    def check(entries: Any) -> Any:
        seen: list[object] = []  # entries may be unhashable
        for index, entry in enumerate(entries or ()):
            if (found := key(entry)) in seen:
                raise PydanticCustomError("duplicate", "entry {index} is a duplicate", {"index": index})
            seen.append(found)
        return entries

    return check


def _has_type_meta(value: Any) -> Any:
    if isinstance(value, dict):
        for name in ("apiVersion", "kind"):
            if not isinstance(value.get(name), str) or not value[name]:
                raise PydanticCustomError("embedded_resource", "{name} must not be empty", {"name": name})
    return value
