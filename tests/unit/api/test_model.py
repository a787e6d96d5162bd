"""A model reads JSON as the API server does. The property test against a real one is in tests/integration/generate."""

# ruff: noqa: RUF012  # pydantic copies defaults
from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from kopf_sdk.api import (
    CustomResource,
    EmbeddedResource,
    IntOrString,
    ListMap,
    ListSet,
    Model,
    Nullable,
    PreserveUnknownFields,
    Scale,
)


class Port(Model):
    name: str
    protocol: str = "TCP"


class Spec(Model):
    size: int = 1
    ratio: float = 0.5
    on: bool = True
    text: str = "x"
    since: dt.datetime | None = None
    day: dt.date | None = None
    port: IntOrString = 80
    null: Nullable[int] = 3
    labels: dict[str, str] = {}
    null_labels: dict[str, Nullable[str]] = {}
    ports: Annotated[list[Port], ListMap("name", "protocol")] = []
    names: Annotated[list[str], ListSet()] = []
    inner: Port = Port(name="a")
    maybe: Port | None = None
    free: Annotated[dict[str, Any], PreserveUnknownFields()] = {}
    template: Annotated[dict[str, Any], EmbeddedResource()] | None = None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "5"),
        ("size", True),
        ("size", 1.5),
        ("ratio", "0.5"),
        ("ratio", False),
        ("on", "true"),
        ("on", 1),
        ("text", 5),
        ("since", 1767225600),
        ("since", "2026-01-31"),
        ("since", "2026-01-31T12:00:00"),
        ("since", "1767225600"),
        ("day", "2026-1-31"),
        ("day", 20260131),
        ("port", 1.5),
        ("port", True),
        ("null", "3"),
        ("labels", {"a": 1}),
        ("labels", []),
        ("names", ["a", "b", "a"]),
        ("names", [None]),
        ("ports", [{"name": "a"}, {"name": "a", "protocol": "TCP"}]),
        ("inner", "a"),
        ("inner", {}),
        ("template", {"kind": "Pod"}),
        ("template", {"apiVersion": "v1", "kind": ""}),
    ],
)
def test_rejected(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as rejected:
        Spec.model_validate({field: value})
    assert rejected.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("ratio", 1, 1.0),
        ("since", "2026-01-31T12:00:00Z", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)),
        ("since", dt.datetime(2026, 1, 31, tzinfo=dt.UTC), dt.datetime(2026, 1, 31, tzinfo=dt.UTC)),
        ("port", "http", "http"),
        ("port", 8080, 8080),
        ("ports", [{"name": "a"}, {"name": "a", "protocol": "UDP"}], [Port(name="a"), Port(name="a", protocol="UDP")]),
        ("free", {"a": {"b": None}}, {"a": {"b": None}}),
    ],
)
def test_accepted(field: str, value: Any, read: Any) -> None:
    assert getattr(Spec.model_validate({field: value}), field) == read


def test_null_is_another_word_for_absent() -> None:
    nothing = dict.fromkeys(("size", "ratio", "on", "text", "since", "port", "labels", "ports", "inner", "maybe"))
    assert Spec.model_validate(nothing) == Spec()
    assert Spec.model_validate({"inner": {"name": "b", "protocol": None}}).inner == Port(name="b")
    assert Spec.model_validate({"labels": {"a": None, "b": "c"}}).labels == {"b": "c"}


def test_null_is_a_value_where_the_annotation_says_so() -> None:
    assert Spec.model_validate({"null": None}).null is None
    assert Spec().null == 3
    assert Spec.model_validate({"nullLabels": {"a": None}}).null_labels == {"a": None}


def test_unknown_fields_are_dropped() -> None:
    assert Spec.model_validate({"bogus": 1}) == Spec()


def test_python_and_json_names() -> None:
    spec = Spec(null_labels={"a": "b"})
    assert spec.to_json()["nullLabels"] == {"a": "b"}
    assert Spec.model_validate(spec.to_json()) == spec


def test_subclasses_add_to_the_rules_of_their_bases() -> None:
    class Base(Model, min_properties=1):
        a: int = 1

    class Derived(Base, max_properties=2):
        b: Annotated[int, Field(ge=0)] = 1

    schema = Derived.model_json_schema()
    assert (schema["minProperties"], schema["maxProperties"]) == (1, 2)
    assert "maxProperties" not in Base.model_json_schema()


class Bounded(Model, min_properties=1, max_properties=2):
    a: str | None = None
    b: Nullable[str] = None
    c: str | None = None


class BoundedAndOpen(Bounded, extra="allow"):
    pass


@pytest.mark.parametrize(
    ("model", "value", "accepted"),
    [
        (Bounded, {}, False),
        (Bounded, {"unknown": 1}, False),
        (Bounded, {"a": None}, False),
        (Bounded, {"b": None}, True),
        (Bounded, {"a": "", "c": ""}, True),
        (Bounded, {"a": "", "b": None, "c": ""}, False),
        (BoundedAndOpen, {"unknown": None}, True),
        (BoundedAndOpen, {"a": "", "x": 1, "y": 2}, False),
    ],
)
def test_fields_are_counted_as_they_would_be_stored(model: type[Model], value: object, accepted: bool) -> None:
    if accepted:
        model.model_validate(value)
    else:
        with pytest.raises(ValidationError, match="fields, not"):
            model.model_validate(value)


class Pool(CustomResource, group="example.com", version="v1", scale=Scale(spec=".spec.size")):
    spec: Spec


@pytest.mark.parametrize("size", [0, 2**31 - 1])
def test_the_scale_subresource_takes_any_int32_from_zero_on(size: int) -> None:
    assert Pool.model_validate({"spec": {"size": size}}).spec.size == size


@pytest.mark.parametrize("size", [2**31, -1])
def test_the_scale_subresource_takes_nothing_else(size: int) -> None:
    with pytest.raises(ValidationError, match=r"\.spec\.size must be between 0 and 2147483647"):
        Pool.model_validate({"spec": {"size": size}})


def test_a_discriminated_union_can_be_read_though_no_schema_can_say_it() -> None:
    class Cat(Model):
        type: Literal["type"]

    class Dog(Model):
        type: Literal["dog"]
        age: int = 1

    class Owner(Model):
        pet: Annotated[Cat | Dog, Field(discriminator="type")]

    assert isinstance(Owner.model_validate({"pet": {"type": "type"}}).pet, Cat)
    with pytest.raises(ValidationError):
        Owner.model_validate({"pet": {"type": "dog", "age": "2"}})
