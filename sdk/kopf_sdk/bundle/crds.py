"""CustomResourceDefinitions: what the CSV must know of them, and their text, which passes through untouched.

Their schemas are by far the largest part of a bundle. Only `metadata`, `status` and the conversion webhook change, so
only these blocks are cut out of the text and written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.labels import clean_metadata
from kopf_sdk.bundle.objects import Object

__all__ = ["Crd", "CrdVersion", "crd_text", "read_crd", "without_descriptions"]


@dataclass(frozen=True, slots=True)
class CrdVersion:
    """One version of a CRD; `schema` is its openAPIV3Schema."""

    name: str
    served: bool
    storage: bool
    schema: Mapping[str, Any]

    def section(self, name: str) -> Mapping[str, Any]:
        """Return the schema below a top-level field, `spec` or `status`."""
        found = (self.schema.get("properties") or {}).get(name)
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Crd:
    """The facts of a CRD that others refer to."""

    name: str
    group: str
    kind: str
    plural: str
    namespaced: bool
    versions: tuple[CrdVersion, ...]

    @property
    def served(self) -> tuple[CrdVersion, ...]:
        return tuple(version for version in self.versions if version.served)

    def version(self, name: str) -> CrdVersion | None:
        return next((version for version in self.versions if version.name == name), None)


def read_crd(data: Mapping[str, Any]) -> Crd:
    """Return the facts of a CRD object (apiextensions.k8s.io/v1; v1beta1 with its one schema for all versions)."""
    spec = data.get("spec") or {}
    names = spec.get("names") or {}
    common = (spec.get("validation") or {}).get("openAPIV3Schema") or {}
    raw = spec.get("versions") or [{"name": spec.get("version", ""), "served": True, "storage": True}]
    versions = tuple(
        CrdVersion(
            str(version.get("name", "")),
            bool(version.get("served")),
            bool(version.get("storage")),
            (version.get("schema") or {}).get("openAPIV3Schema") or common,
        )
        for version in raw
    )
    name = str((data.get("metadata") or {}).get("name", ""))
    namespaced = spec.get("scope", "Namespaced") == "Namespaced"
    return Crd(
        name, str(spec.get("group", "")), str(names.get("kind", "")), str(names.get("plural", "")), namespaced, versions
    )


def crd_text(crd: Object, conversion_service: str = "") -> str:
    """Return the CRD as a file of the bundle.

    Parameters
    ----------
    conversion_service
        The Service that OLM makes before the conversion webhook, if there is one; OLM fills in namespace and CA.
    """
    metadata = clean_metadata(crd.metadata)
    conversion = _conversion(crd, conversion_service) if conversion_service else None
    text = crd.text
    block = _block(text, "metadata", 0)
    if block is None or (conversion is not None and _block(text, "conversion", 2) is None):
        data = {key: value for key, value in crd.data.items() if key not in {"metadata", "status", "spec"}}
        spec = dict(crd.spec)
        if conversion is not None:
            spec["conversion"] = conversion
        return yaml.dump({**data, "metadata": metadata, "spec": spec})
    text = text[: block[0]] + yaml.dump({"metadata": metadata}) + text[block[1] :]
    status = _block(text, "status", 0)
    if status is not None:
        text = text[: status[0]] + text[status[1] :]
    if conversion is not None:
        start, end = _block(text, "conversion", 2) or (0, 0)
        text = text[:start] + _indent(yaml.dump({"conversion": conversion}), 2) + text[end:]
    return "\n".join(_without_source(text)) + "\n"


def without_descriptions(value: Any, *, keep_depth: int) -> Any:
    """Return a schema whose descriptions deeper than `keep_depth` properties are gone."""
    if isinstance(value, list):
        return [without_descriptions(item, keep_depth=keep_depth) for item in value]
    if not isinstance(value, Mapping):
        return value
    result: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "description" and isinstance(inner, str) and keep_depth < 0:
            continue
        if key == "properties" and isinstance(inner, Mapping):
            result[key] = {
                name: without_descriptions(schema, keep_depth=keep_depth - 1) for name, schema in inner.items()
            }
        else:
            result[key] = without_descriptions(inner, keep_depth=keep_depth)
    return result


def _conversion(crd: Object, service: str) -> dict[str, Any]:
    conversion = dict(crd.spec.get("conversion") or {})
    webhook = dict(conversion.get("webhook") or {})
    client = {key: value for key, value in (webhook.get("clientConfig") or {}).items() if key != "caBundle"}
    client["service"] = {**(client.get("service") or {}), "name": service}
    webhook["clientConfig"] = client
    conversion["webhook"] = webhook
    return conversion


def _block(text: str, key: str, indent: int) -> tuple[int, int] | None:
    """Return where a key's block stands in block-style text: from its line to the next line that is not deeper."""
    start = re.search(rf"^ {{{indent}}}{key}:", text, re.MULTILINE)
    if start is None:
        return None
    end = re.compile(rf"^ {{0,{indent}}}[^\s#-]", re.MULTILINE).search(text, start.end())
    return start.start(), end.start() if end else len(text)


def _indent(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}" for line in text.splitlines(keepends=True))


def _without_source(text: str) -> Iterator[str]:
    for line in text.strip("\n").splitlines():
        if line.startswith(("---", "# Source: ")):
            continue
        yield line
