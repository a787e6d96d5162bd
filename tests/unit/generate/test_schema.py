"""What model classes become, row by row of docs/markers.md, and what cannot become a schema."""

# ruff: noqa: RUF012  # pydantic copies defaults
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from kopf_sdk.api import Model, Rule
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


class Refused(Model):
    """One field per reason to refuse."""

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
        ("recursive", "the model Node contains itself", "PreserveUnknownFields"),
    ],
)
def test_what_cannot_be_said_is_refused_with_class_field_and_way_out(field: str, message: str, hint: str) -> None:
    info = Refused.model_fields[field]
    model = type("Only", (Model,), {"__annotations__": {field: _annotated(info)}, field: info, "__module__": __name__})
    with pytest.raises(SdkError) as refused:
        structural_schema(model)
    owner = "Node.child" if field == "recursive" else f"Only.{field}"
    assert f"{__name__}: {owner} (" in refused.value.message
    assert message in refused.value.message
    assert hint in str(refused.value.hint)


def test_a_model_that_forbids_unknown_fields_is_refused() -> None:
    with pytest.raises(SdkError, match=r"Forbids \(root\): a model either ignores fields") as refused:
        structural_schema(Forbids)
    assert "API server drops" in str(refused.value.hint)


def _annotated(info: Any) -> Any:
    return Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
