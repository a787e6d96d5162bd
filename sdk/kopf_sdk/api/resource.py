"""The base of every custom resource type, and the parts of Kubernetes' metadata that operators read.

Field names are Python's, JSON names are Kubernetes' (`container_port` ↔ `containerPort`).
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kopf_sdk.api.conform import conform
from kopf_sdk.api.definition import Definition
from kopf_sdk.api.markers import may_be_null
from kopf_sdk.api.rules import Rule

__all__ = ["Condition", "CustomResource", "Model", "ObjectMeta", "OwnerReference"]

_UNBOUNDED = (0, math.inf)


class Model(BaseModel):
    """A part of a resource. It accepts, rejects and drops what the API server does with the schema made from it.

    The class statement may say what holds for the object as a whole: `rules` (CEL), `atomic` (it is replaced, never
    merged), `min_properties` and `max_properties`; and pydantic's `extra="allow"` to keep fields that nobody named.

    Examples
    --------
    >>> class Range(Model, rules=[Rule("self.min <= self.max", message="min must not be above max")]):
    ...     min: int = 0
    ...     max: int = 10
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="ignore",
        use_attribute_docstrings=True,
        frozen=True,
        allow_inf_nan=False,
    )

    _object_schema: ClassVar[dict[str, Any]] = {}
    """What the class statement adds to the schema of the object."""

    _bounds: ClassVar[tuple[int, float]] = _UNBOUNDED
    """How many fields an object has at least and at most."""

    def __init_subclass__(
        cls, *, min_properties: int | None = None, max_properties: int | None = None, **kwargs: Any
    ) -> None:
        """Keep the class statement's arguments from `object`; pydantic hands them to the next method."""
        super().__init_subclass__()
        low, high = cls._bounds
        cls._bounds = (
            low if min_properties is None else min_properties,
            high if max_properties is None else max_properties,
        )

    @classmethod
    def __pydantic_init_subclass__(
        cls,
        *,
        rules: Sequence[Rule] = (),
        atomic: bool = False,
        min_properties: int | None = None,
        max_properties: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Read the class statement's arguments; a subclass adds to what its bases said."""
        super().__pydantic_init_subclass__(**kwargs)
        own = {
            "minProperties": min_properties,
            "maxProperties": max_properties,
            "x-kubernetes-map-type": "atomic" if atomic else None,
            "x-kubernetes-validations": [
                *cls._object_schema.get("x-kubernetes-validations", []),
                *(rule.to_json() for rule in rules),
            ]
            or None,
        }
        cls._object_schema = cls._object_schema | {key: value for key, value in own.items() if value is not None}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        conform(handler.resolve_ref_schema(schema))
        if cls._bounds == _UNBOUNDED:
            return schema
        return core_schema.no_info_after_validator_function(_fields_within_bounds, schema)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema_of_core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(schema_of_core)
        handler.resolve_ref_schema(schema).update(cls._object_schema)
        return schema

    def to_json(self) -> dict[str, Any]:
        """Return what belongs into a manifest: JSON names and JSON types, no field that was not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class OwnerReference(Model):
    """The part of an owner reference that decides whose an object is."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(Model):
    """What operators read of an object's metadata (meta/v1 ObjectMeta)."""

    name: str = ""
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class Condition(Model):
    """One observation about a resource (meta/v1 Condition)."""

    type: str
    """What is observed, in CamelCase: Available, Progressing, Degraded."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: str
    """Why, as one CamelCase word that programs may compare."""
    message: str = ""
    """Why, in words for a person."""
    observed_generation: int | None = None
    """The generation of the resource that this was observed for."""
    last_transition_time: dt.datetime | None = None
    """When `status` last changed."""


class CustomResource(Model):
    """A kind that the operator's author defines; the class statement says what Kubernetes calls it.

    Subclasses declare `spec` and `status`.

    Examples
    --------
    >>> class CacheSpec(Model):
    ...     size: int = 1
    >>> class CacheStatus(Model):
    ...     ready: int = 0
    >>> class Cache(CustomResource, group="example.com", version="v1", short_names=["ca"]):
    ...     spec: CacheSpec
    ...     status: CacheStatus | None = None
    >>> Cache.definition.plural
    'caches'
    """

    definition: ClassVar[Definition]

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Read the class statement's arguments into `definition`; intermediate classes give none."""
        super().__pydantic_init_subclass__()
        if kwargs:
            cls.definition = Definition(kind=kwargs.pop("kind", cls.__name__), **kwargs)

    @model_validator(mode="after")
    def _replicas_fit_scale(self) -> Self:
        """Refuse what the scale subresource cannot hold, as the API server does whatever the schema says.

        Source: apiextensions-apiserver `pkg/registry/customresource/validator.go`, ValidateScaleSpec.
        """
        definition: Definition | None = getattr(type(self), "definition", None)
        if definition is None or definition.scale is None:
            return self
        value: Any = self
        for name in definition.scale.spec.removeprefix(".").split("."):
            value = next((getattr(value, field) for field in _fields_called(value, name)), None)
        if isinstance(value, int) and not 0 <= value <= _MAX_INT32:
            raise PydanticCustomError(
                "scale_out_of_range",
                "{path} must be between 0 and {limit}: the scale subresource holds no other number",
                {"path": definition.scale.spec, "limit": _MAX_INT32},
            )
        return self


def _fields_within_bounds(value: Model) -> Model:
    """Refuse too few or too many fields; counted is what the API server would store, without nulls, with defaults."""
    low, high = value._bounds
    fields = type(value).model_fields
    stored = [name for name, info in fields.items() if _is_stored(value, name, info)]
    count = len(stored) + len(value.model_extra or ())
    if low <= count <= high:
        return value
    raise PydanticCustomError(
        "fields_out_of_bounds",
        "Input should have {bound} {limit} fields, not {count}",
        {"bound": "at least" if count < low else "at most", "limit": low if count < low else int(high), "count": count},
    )


def _is_stored(value: Model, name: str, info: FieldInfo) -> bool:
    return getattr(value, name) is not None or (name in value.model_fields_set and may_be_null(info.metadata))


_MAX_INT32 = 2**31 - 1


def _fields_called(value: Any, name: str) -> list[str]:
    """Return the attribute that JSON calls `name`; nothing when there is none."""
    fields = type(value).model_fields if isinstance(value, Model) else {}
    return [field for field, info in fields.items() if (info.alias or field) == name]
