"""What model classes become, row by row of docs/markers.md, and what cannot become a schema."""

# ruff: noqa: RUF012  # pydantic copies defaults
from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import pytest
from pydantic import Field, RootModel

from kopf_sdk.api import Atomic, ListMap, ListSet, Model, Nullable, Rule, immutable
from kopf_sdk.errors import SdkError
from kopf_sdk.generate import crd_manifests
from kopf_sdk.generate.schema import structural_schema
from unit.generate.rows import ROWS, Everything, EverythingBeta, Row

DOCS = Path(__file__).parents[3] / "docs" / "markers.md"


def at(crd: Any, path: str) -> Any:
    """Follow a path below the storage version; `..` goes up."""
    trail = [crd, crd["spec"], crd["spec"]["versions"], crd["spec"]["versions"][1]]
    for step in path.split("/"):
        if step == "..":
            trail.pop()
        else:
            trail.append(trail[-1][int(step)] if isinstance(trail[-1], list) else trail[-1][step])
    return trail[-1]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.marker)
def test_row(row: Row) -> None:
    crd = crd_manifests([EverythingBeta, Everything])[0]
    found = at(crd, row.path)
    if isinstance(row.expected, dict):
        assert found == found | row.expected
    else:
        assert found == row.expected


def test_the_documentation_has_the_same_rows() -> None:
    documented = re.findall(r"^\| `([^`]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [row.marker for row in ROWS]


def test_defaults_of_objects_are_complete_where_rules_read_them() -> None:
    spec = structural_schema(Everything)["properties"]["spec"]["properties"]
    assert spec["limits"]["default"] == {"low": 0, "high": 10}
    assert spec["open"]["default"] == {}


def test_a_default_with_an_object_that_has_rules_is_complete_there() -> None:
    class Limits(Model, rules=[Rule("self.low <= self.high")]):
        low: int = 0
        high: int = 10

    class Counted(Model, min_properties=1):
        a: int = 1

    class Spec(Model):
        other: int = 1
        limits: Limits = Limits()
        counted: Counted = Counted()

    class Whole(Model):
        spec: Spec = Spec(limits=Limits(high=5), counted=Counted(a=2))

    spec = structural_schema(Whole)["properties"]["spec"]
    assert spec["default"] == {"limits": {"low": 0, "high": 5}, "counted": {"a": 2}}
    assert spec["properties"]["counted"]["default"] == {"a": 1}


def test_defaults_of_other_types_are_as_json_has_them() -> None:
    class Numbers(RootModel[list[int]]):
        pass

    class Color(enum.Enum):
        RED = "red"

    class Owner(Model):
        numbers: Numbers = Numbers([1])
        color: Color = Color.RED
        hidden: Annotated[int, Field(exclude=True)] = 1

    properties = structural_schema(Owner)["properties"]
    assert properties["numbers"]["default"] == [1]
    assert properties["color"] == {"type": "string", "default": "red", "enum": ["red"]}, "no title"
    assert properties["hidden"] == {"type": "integer"}


def test_a_name_that_is_nowhere_defined_is_named() -> None:
    class Owner(Model):
        pet: Nowhere | None = None  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(SdkError, match=r"Owner \(root\): Nowhere is not defined"):
        structural_schema(Owner)


def test_a_description_beside_a_field_wins_over_the_one_of_its_type() -> None:
    class Inner(Model):
        """Of the type."""

    class Outer(Model):
        plain: Inner = Inner()
        described: Inner = Inner()
        """Of the field."""

    properties = structural_schema(Outer)["properties"]
    assert properties["plain"]["description"] == "Of the type."
    assert properties["described"]["description"] == "Of the field."


def test_rules_of_field_and_type_add_up() -> None:
    class Inner(Model, rules=[Rule("self.a > 0")]):
        a: int = 1

    class Outer(Model):
        inner: Annotated[Inner, Rule("self.a < 9")] = Inner()

    rules = structural_schema(Outer)["properties"]["inner"]["x-kubernetes-validations"]
    assert [rule["rule"] for rule in rules] == ["self.a > 0", "self.a < 9"]


class Node(Model):
    child: Node | None = None


class Entry(Model):
    name: str | None = None
    ports: list[int] = []
    once: Annotated[int, immutable()] = 1


class Other(Model):
    a: int = 1


@dataclass
class Plain:
    a: int = 1


class Refused(Model):
    """One field per reason to refuse."""

    nothing: None = None
    span: timedelta = timedelta(1)
    numbered: dict[int, str] = {}
    plain: Plain | None = None
    null_or_one_of: Nullable[Literal["a"]] = None
    atomic_text: Annotated[str, Atomic()] = ""
    set_of_objects: Annotated[list[Other], ListSet()] = []
    map_of_text: Annotated[list[str], ListMap("name")] = []
    no_such_key: Annotated[list[Entry], ListMap("nmae")] = []
    absent_key: Annotated[list[Entry], ListMap("name")] = []
    list_key: Annotated[list[Entry], ListMap("ports")] = []
    old_entries: list[Entry] = []
    empty_rule: Annotated[int, Rule(" ")] = 1
    long_message: Annotated[int, Rule("self > 0", message="a\nb")] = 1
    wrong_default: Annotated[int, Field(ge=5)] = 1
    another_default: str = Field(default_factory=lambda: str(uuid4()))
    two_names: int = Field(default=1, validation_alias="other")

    union: list[int] | str = ""
    anything: Any = None
    map_of_any: dict[str, Any] = {}
    a_set: set[str] = set()
    pair: tuple[int, str] = (1, "")
    maybe_entries: list[int | None] = []
    required_optional: int | None
    keys: dict[Annotated[str, Field(pattern="^a")], int] = {}
    binary: bytes = b""
    extra: Annotated[int, Field(json_schema_extra={"x-mine": 1})] = 1
    function: Callable[[], int] | None = None
    recursive: Node | None = None


class Forbids(Model, extra="forbid"):
    a: int = 1


@pytest.mark.parametrize(
    ("field", "message", "hint"),
    [
        ("union", "a union of types is not structural", "exactly_one_of"),
        ("anything", "Any has no schema", "PreserveUnknownFields"),
        ("map_of_any", "a map of Any has no schema", "PreserveUnknownFields"),
        ("a_set", "no uniqueItems", "ListSet"),
        ("pair", "a tuple of fixed length", "named fields"),
        ("maybe_entries", "entries of lists and maps cannot be absent", "Nullable"),
        ("required_optional", "is required, yet may be None", "Nullable"),
        ("keys", "constraint on the keys", "Rule"),
        ("binary", "no format 'binary'", "Base64Bytes"),
        ("extra", "x-mine cannot be said", "json_schema_extra"),
        ("function", "has no JSON schema", "WithJsonSchema"),
        ("nothing", "no value has the type null", "| None"),
        ("span", "no format 'timedelta'", "Duration"),
        ("numbered", "keys of a map are text, not int", "maps by text"),
        ("plain", "Plain is a dataclass", "Model"),
        ("null_or_one_of", "refuses null beside an enumeration", "| None = None"),
        ("atomic_text", "only lists, maps and objects can be atomic", "drop Atomic()"),
        ("set_of_objects", "objects in a set have to be atomic", "ListMap"),
        ("map_of_text", "ListMap is for lists of objects", "ListSet"),
        ("no_such_key", "ListMap('nmae'): its entries have no field nmae", "name, ports, once"),
        ("absent_key", "ListMap('name'): the field may be absent", "required"),
        ("list_key", "ListMap('ports'): entries are told apart by text", "another field"),
        ("old_entries", "reads oldSelf, but entries of this list or map have no old value", "ListMap"),
        ("empty_rule", "a Rule has no expression", "CEL"),
        ("long_message", "the message of a Rule has several lines", "in one"),
        ("wrong_default", "refuses its default 1: Input should be greater than or equal to 5", "correct the default"),
        ("another_default", "its default is another one each time", "defaulting webhook"),
        ("two_names", "it is read as other and written as twoNames", "alias="),
        ("recursive", "the model Node contains itself", "PreserveUnknownFields"),
    ],
)
def test_what_cannot_be_said_is_refused_with_class_field_and_way_out(field: str, message: str, hint: str) -> None:
    info = Refused.model_fields[field]
    model = type("Only", (Model,), {"__annotations__": {field: _annotated(info)}, field: info, "__module__": __name__})
    with pytest.raises(SdkError) as refused:
        structural_schema(model)
    owner = {"recursive": "Node.child", "old_entries": "Entry.once"}.get(field, f"Only.{field}")
    assert f"{__name__}: {owner} (" in refused.value.message
    assert message in refused.value.message
    assert hint in str(refused.value.hint)


def test_a_model_that_forbids_unknown_fields_is_refused() -> None:
    with pytest.raises(SdkError, match=r"Forbids \(root\): a model either ignores fields") as refused:
        structural_schema(Forbids)
    assert "API server drops" in str(refused.value.hint)


def _annotated(info: Any) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
