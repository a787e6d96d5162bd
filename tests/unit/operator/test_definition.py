"""The CRD as a whole: small enough for every tool, and no field without a word about it or without a bound."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kopf_sdk.generate import crd_manifests
from memcached_operator.api.v1alpha1 import Memcached

DEFINITION = crd_manifests([Memcached])[0]
SCHEMA = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from fields(field, f"{path}{name}.")
        yield from fields(field.get("items", {}), f"{path}{name}[].")


def bounded(field: dict[str, Any]) -> bool:
    """Tell whether a value of this field cannot be of any size."""
    match field.get("type"):
        case "string":
            return "maxLength" in field or "enum" in field or field.get("format") == "date-time"
        case "integer":
            return {"minimum", "maximum"} <= set(field)
        case "array":
            return "maxItems" in field
        case "object" if "additionalProperties" in field:
            return "maxProperties" in field
        case _:
            return True


def test_the_definition_is_small() -> None:
    assert len(json.dumps(DEFINITION, separators=(",", ":"))) < 32 * 1024


def test_every_field_is_described_in_a_sentence() -> None:
    described = {path: field.get("description", "") for path, field in fields(SCHEMA)}
    assert {path for path, text in described.items() if not text} <= {"apiVersion", "kind", "metadata"}
    assert {path for path, text in described.items() if text and not text.endswith(".")} <= {"apiVersion", "kind"}


def test_descriptions_are_paragraphs_that_kubectl_explain_may_wrap() -> None:
    assert [path for path, field in fields(SCHEMA) if "\n" in field.get("description", "")] == []


def test_every_field_of_the_specification_is_bounded() -> None:
    assert [path for path, field in fields(SCHEMA["properties"]["spec"]) if not bounded(field)] == []


def test_nothing_of_the_specification_is_required_but_what_has_no_default() -> None:
    assert "required" not in SCHEMA["properties"]["spec"]
    required = {
        f"{path}.{name}" for path, field in fields(SCHEMA["properties"]["spec"]) for name in field.get("required", ())
    }
    assert required == {"auth.secretName", "autoscaling.maxSize", "extstore.size", "tls.secretName"}
