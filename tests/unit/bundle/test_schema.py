"""Examples against structural schemas."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.schema import violations

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "port": {"x-kubernetes-int-or-string": True},
                "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "maxItems": 2},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "one": {
                    "type": "object",
                    "properties": {"x": {}, "y": {}},
                    "oneOf": [{"required": ["x"]}, {"required": ["y"]}],
                },
                "maybe": {"type": "string", "nullable": True},
            },
        }
    },
}


def found(spec: dict[str, Any]) -> list[str]:
    return list(violations({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "a"}, "spec": spec}, SCHEMA))


def test_a_good_resource() -> None:
    spec = {
        "size": 1,
        "mode": "a",
        "port": "http",
        "tags": ["a"],
        "labels": {"k": "v"},
        "free": {"any": [1]},
        "one": {"x": 1},
        "maybe": None,
    }

    assert found(spec) == []


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "spec.size: required"),
        ({"size": 0}, "spec.size: 0 is below the minimum 1"),
        ({"size": 10}, "above the maximum"),
        ({"size": "1"}, "spec.size: integer is expected, this is text"),
        ({"size": True}, "spec.size: integer is expected, this is a boolean"),
        ({"size": 1, "mode": "c"}, "spec.mode: 'c' is none of"),
        ({"size": 1, "port": 1.5}, "spec.port: an integer or text"),
        ({"size": 1, "tags": ["A"]}, "spec.tags[0]: 'A' does not match"),
        ({"size": 1, "tags": ["a", "b", "c"]}, "spec.tags: 3 is more than"),
        ({"size": 1, "labels": {"k": 1}}, "spec.labels.k: string is expected"),
        ({"size": 1, "typo": 1}, "spec.typo: unknown field"),
        ({"size": 1, "one": {"x": 1, "y": 1}}, "spec.one: must match exactly one"),
        ({"size": 1, "mode": None}, "spec.mode: null is not allowed"),
    ],
)
def test_bad_resources(spec: dict[str, Any], problem: str) -> None:
    assert any(problem in line for line in found(spec)), found(spec)
