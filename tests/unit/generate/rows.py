"""Every row of docs/markers.md as a field of a kind: what the marker says is said here, and looked for there."""

# ruff: noqa: RUF012  # pydantic copies defaults
from __future__ import annotations

import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from kopf_sdk.api import (
    Atomic,
    Condition,
    CustomResource,
    Duration,
    EmbeddedResource,
    Example,
    Format,
    IntOrString,
    ListMap,
    ListSet,
    Model,
    Nullable,
    PreserveUnknownFields,
    PrinterColumn,
    Quantity,
    Rule,
    Scale,
    at_least_one_of,
    at_most_one_of,
    exactly_one_of,
    immutable,
)

__all__ = ["ROWS", "Everything", "EverythingBeta", "Row"]


class Mode(enum.StrEnum):
    """How it works."""

    FAST = "Fast"
    SAFE = "Safe"


class Port(Model):
    """One port."""

    name: Annotated[str, Field(min_length=1, max_length=15)]
    """Its name."""
    number: Annotated[int, Field(ge=1, le=65535)] = 11211
    """Its number."""
    protocol: Literal["TCP", "UDP"] = "TCP"


class Limits(Model, rules=[Rule("self.low <= self.high", message="low must not be above high")]):
    """Two numbers in order."""

    low: int = 0
    high: int = 10


class Backend(Model, rules=[exactly_one_of("file", "url")]):
    """Where data comes from."""

    file: Annotated[str, Field(max_length=100)] | None = None
    url: Annotated[str, Field(max_length=100)] | None = None


class Choice(Model, rules=[at_most_one_of("left", "right"), at_least_one_of("up", "down")]):
    left: bool | None = None
    right: bool | None = None
    up: bool | None = None
    down: bool | None = None


class Whole(Model, atomic=True, min_properties=1, max_properties=2):
    """Replaced as a whole."""

    a: str | None = None
    b: str | None = None


class Open(Model, extra="allow"):
    """Keeps what nobody named."""

    known: str | None = None


class EverythingSpec(Model):
    """One field per row."""

    text: str
    """A docstring is the description.

    Of several lines, {{ and }} included.
    """
    maybe: str | None = None
    maximum: Annotated[int, Field(le=10)] = 3
    minimum: Annotated[int, Field(ge=-5)] = 3
    exclusive_maximum: Annotated[int, Field(lt=10)] = 3
    exclusive_minimum: Annotated[float, Field(gt=0.5)] = 3.0
    multiple_of: Annotated[int, Field(multiple_of=3)] = 3
    length: Annotated[str, Field(min_length=2, max_length=8)] = "abc"
    pattern: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")] = "a-b"
    items: Annotated[list[str], Field(min_length=1, max_length=3)] = ["a"]
    item_bounds: list[Annotated[int, Field(ge=0, le=9)]] = []
    map_size: Annotated[dict[str, str], Field(min_length=1, max_length=3)] = {"a": "b"}
    choice: Literal["One", "Two"] = "One"
    mode: Mode = Mode.SAFE
    numbers: Literal[1, 2, 3] = 2
    int32: Annotated[int, Format("int32")] = 1
    int64: Annotated[int, Format("int64")] = 1
    ip: Annotated[str, Format("ipv4")] = "10.0.0.1"
    uid: uuid.UUID | None = None
    since: dt.datetime | None = None
    day: dt.date | None = None
    timeout: Duration = dt.timedelta(seconds=90)
    memory: Quantity = Quantity("64Mi")
    port: IntOrString = "http"
    null: Nullable[str] = "x"
    null_number: Nullable[Annotated[int, Field(ge=1)]] = None
    example: Annotated[str, Example("like this")] = "x"
    title: Annotated[str, Field(title="A title")] = "x"
    as_text: Annotated[str, WithJsonSchema({"type": "string"})] = "x"
    anything: Annotated[Any, PreserveUnknownFields()] = None
    any_object: Annotated[dict[str, Any] | None, PreserveUnknownFields()] = None
    open: Open = Open()
    template: Annotated[dict[str, Any], EmbeddedResource()] | None = None
    ports: Annotated[list[Port], ListMap("name", "protocol"), Field(max_length=10)] = []
    names: Annotated[list[Annotated[str, Field(max_length=20)]], ListSet(), Field(max_length=10)] = []
    ordered: Annotated[list[str], Atomic()] = []
    selector: Annotated[dict[str, str], Atomic()] = {}
    whole: Whole | None = None
    whole_here: Annotated[Port | None, Atomic()] = None
    limits: Limits = Limits()
    backend: Backend | None = None
    direction: Choice | None = None
    fixed: Annotated[str, Field(max_length=20), immutable()] = "for ever"
    ruled: Annotated[
        list[Annotated[int, Rule("self != 13", message="no thirteen", reason="FieldValueForbidden")]],
        Rule(
            "self.all(x, x < 100)",
            message_expression="self.size() > 1 ? 'a number is too large' : 'the number is too large'",
        ),
        Field(max_length=10),
    ] = []
    grows: Annotated[int, Rule("oldSelf.orValue(0) <= self", message="only grows", optional_old_self=True)] = 0
    old: Annotated[str | None, Field(deprecated="use text")] = None
    replicas: Annotated[int, Field(ge=0)] = 1


class EverythingStatus(Model):
    """What was observed."""

    replicas: int | None = None
    selector: str | None = None
    conditions: Annotated[list[Condition], ListMap("type")] = []


class EverythingBeta(
    CustomResource,
    kind="Everything",
    group="markers.example.com",
    version="v1beta1",
    plural="everythings",
    short_names=["ev"],
    categories=["all", "examples"],
    scope="Cluster",
    storage=False,
    served=False,
    deprecated=True,
    deprecation_warning="markers.example.com/v1beta1 is gone soon, use v1",
):
    """The version before."""

    spec: EverythingSpec


class Everything(
    CustomResource,
    group="markers.example.com",
    version="v1",
    plural="everythings",
    short_names=["ev"],
    categories=["all", "examples"],
    scope="Cluster",
    scale=Scale(spec=".spec.replicas", status=".status.replicas", selector=".status.selector"),
    printer_columns=[
        PrinterColumn(name="Mode", path=".spec.mode", description="How it works"),
        PrinterColumn(name="Max", path=".spec.maximum", type="integer", format="int32", priority=1),
        PrinterColumn(name="Age", path=".metadata.creationTimestamp", type="date"),
    ],
    selectable_fields=[".spec.mode"],
    rules=[Rule("self.metadata.name.size() <= 50", message="the name is too long", reason="FieldValueInvalid")],
    labels={"example.com/label": "yes"},
    annotations={"example.com/annotation": "yes"},
):
    """Everything that a marker can say."""

    spec: EverythingSpec
    status: EverythingStatus | None = None


@dataclass(frozen=True)
class Row:
    """A marker, the place in the manifest where it shows, and what stands there."""

    marker: str
    path: str
    expected: Any


def _spec(marker: str, field: str, expected: Any) -> Row:
    return Row(marker, f"schema/openAPIV3Schema/properties/spec/properties/{field}", expected)


ROWS = [
    _spec("validation:Maximum", "maximum", {"maximum": 10}),
    _spec("validation:Minimum", "minimum", {"minimum": -5}),
    _spec("validation:ExclusiveMaximum", "exclusiveMaximum", {"maximum": 10, "exclusiveMaximum": True}),
    _spec("validation:ExclusiveMinimum", "exclusiveMinimum", {"minimum": 0.5, "exclusiveMinimum": True}),
    _spec("validation:MultipleOf", "multipleOf", {"multipleOf": 3}),
    _spec("validation:MinLength", "length", {"minLength": 2}),
    _spec("validation:MaxLength", "length", {"maxLength": 8}),
    _spec("validation:Pattern", "pattern", {"pattern": "^[a-z]+(-[a-z]+)*$"}),
    _spec("validation:MinItems", "items", {"minItems": 1}),
    _spec("validation:MaxItems", "items", {"maxItems": 3}),
    _spec("validation:items:…", "itemBounds/items", {"type": "integer", "minimum": 0, "maximum": 9}),
    _spec("validation:UniqueItems", "names", {"x-kubernetes-list-type": "set"}),
    _spec("validation:MinProperties", "mapSize", {"minProperties": 1}),
    _spec("validation:MaxProperties", "whole", {"minProperties": 1, "maxProperties": 2}),
    _spec("validation:Enum", "mode", {"type": "string", "enum": ["Fast", "Safe"], "default": "Safe"}),
    _spec("validation:Format", "ip", {"type": "string", "format": "ipv4"}),
    _spec("validation:Type", "asText", {"type": "string"}),
    _spec("validation:Required", "../required", ["text"]),
    _spec("validation:Optional", "maybe", {"type": "string"}),
    _spec("default", "choice", {"default": "One"}),
    _spec("nullable", "null", {"nullable": True, "default": "x"}),
    _spec("example", "example", {"example": "like this"}),
    _spec("title", "title", {"title": "A title"}),
    _spec("validation:XIntOrString", "port", {"x-kubernetes-int-or-string": True}),
    _spec("resource.Quantity", "memory", {"x-kubernetes-int-or-string": True, "default": "64Mi"}),
    _spec("metav1.Duration", "timeout", {"type": "string", "default": "1m30s"}),
    _spec("metav1.Time", "since", {"type": "string", "format": "date-time"}),
    _spec("validation:Schemaless", "anything", {"x-kubernetes-preserve-unknown-fields": True}),
    _spec("validation:XPreserveUnknownFields", "anyObject", {"x-kubernetes-preserve-unknown-fields": True}),
    _spec("pruning:PreserveUnknownFields", "open", {"x-kubernetes-preserve-unknown-fields": True}),
    _spec("validation:XEmbeddedResource", "template", {"type": "object", "x-kubernetes-embedded-resource": True}),
    _spec("listType=map, listMapKey", "ports", {"x-kubernetes-list-map-keys": ["name", "protocol"]}),
    _spec("listType=set", "names", {"x-kubernetes-list-type": "set"}),
    _spec("listType=atomic", "ordered", {"x-kubernetes-list-type": "atomic"}),
    _spec("mapType=atomic", "selector", {"x-kubernetes-map-type": "atomic"}),
    _spec("structType=atomic", "wholeHere", {"x-kubernetes-map-type": "atomic"}),
    _spec(
        "validation:XValidation",
        "ruled/items/x-kubernetes-validations",
        [{"rule": "self != 13", "message": "no thirteen", "reason": "FieldValueForbidden"}],
    ),
    _spec(
        "validation:XValidation on a type",
        "limits/x-kubernetes-validations",
        [{"rule": "self.low <= self.high", "message": "low must not be above high"}],
    ),
    Row(
        "validation:XValidation on the kind",
        "schema/openAPIV3Schema/x-kubernetes-validations",
        [
            {
                "rule": "self.metadata.name.size() <= 50",
                "message": "the name is too long",
                "reason": "FieldValueInvalid",
            }
        ],
    ),
    _spec("validation:XValidation, transition", "fixed/x-kubernetes-validations/0", {"rule": "self == oldSelf"}),
    _spec("validation:XValidation, optionalOldSelf", "grows/x-kubernetes-validations/0", {"optionalOldSelf": True}),
    _spec(
        "validation:ExactlyOneOf",
        "backend/x-kubernetes-validations/0",
        {"message": "exactly one of file, url must be set"},
    ),
    _spec(
        "validation:AtMostOneOf",
        "direction/x-kubernetes-validations/0",
        {"message": "at most one of left, right may be set"},
    ),
    _spec(
        "validation:AtLeastOneOf",
        "direction/x-kubernetes-validations/1",
        {"message": "at least one of up, down must be set"},
    ),
    _spec(
        "Go comment",
        "text",
        {"description": "A docstring is the description.\n\nOf several lines, {{ and }} included."},
    ),
    _spec("Deprecated: in a comment", "old", {"description": "Deprecated: use text"}),
    Row("subresource:status", "subresources/status", {}),
    Row("subresource:scale", "subresources/scale", {"specReplicasPath": ".spec.replicas"}),
    Row("printcolumn", "additionalPrinterColumns/1", {"name": "Max", "format": "int32", "priority": 1}),
    Row("selectablefield", "selectableFields", [{"jsonPath": ".spec.mode"}]),
    Row("storageversion", "storage", True),
    Row("unservedversion", "../0/served", False),
    Row("deprecatedversion", "../0/deprecationWarning", "markers.example.com/v1beta1 is gone soon, use v1"),
    Row("resource", "../../names", {"plural": "everythings", "shortNames": ["ev"], "categories": ["all", "examples"]}),
    Row("resource:scope", "../../scope", "Cluster"),
    Row("groupName, versionName", "../../group", "markers.example.com"),
    Row("metadata", "../../../metadata/annotations", {"example.com/annotation": "yes"}),
]
