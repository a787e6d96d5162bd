"""JSON schemas for kubeconform, from what Kubernetes publishes about itself (OpenAPI v2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["LOCATION", "write_schemas"]

LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""Names of the files, as kubeconform fills them in."""
REFERENCE = "#/definitions/"
Schema = dict[str, Any]

# What OpenAPI v2 cannot say: these take more types than the one they are given.
LOOSE: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["number", "string"]},
}


def write_schemas(openapi: Schema, folder: Path) -> None:
    """Write one self-contained file per kind; unknown fields are errors in them."""
    folder.mkdir(parents=True, exist_ok=True)
    definitions = {name: LOOSE.get(name) or _closed(schema) for name, schema in openapi["definitions"].items()}
    for name, schema in openapi["definitions"].items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) == 1:
            needed = {REFERENCE + name}
            _collect(definitions[name], definitions, needed)
            wanted = sorted(reference.removeprefix(REFERENCE) for reference in needed)
            document = {"$ref": REFERENCE + name, "definitions": {each: definitions[each] for each in wanted}}
            (folder / _file(kinds[0])).write_text(json.dumps(document))


def _file(kind: Schema) -> str:
    group = kind["group"].partition(".")[0]
    return "-".join(filter(None, (kind["kind"].lower(), group, kind["version"]))) + ".json"


def _closed(schema: Schema) -> Schema:
    """Refuse fields that are not listed."""
    listed = "properties" in schema and "additionalProperties" not in schema
    return {**schema, "additionalProperties": False} if listed else schema


def _collect(schema: Any, definitions: dict[str, Schema], found: set[str]) -> None:
    for reference in set(_references(schema)) - found:
        found.add(reference)
        _collect(definitions[reference.removeprefix(REFERENCE)], definitions, found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
