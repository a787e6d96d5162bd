"""Custom resource types → CustomResourceDefinitions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from kopf_sdk.api import CustomResource, Definition, PrinterColumn, Scale
from kopf_sdk.api.definition import ColumnType, Scope
from kopf_sdk.errors import SdkError
from kopf_sdk.generate.schema import Schema, structural_schema

__all__ = ["SIZE_LIMIT", "crd_manifests"]

SIZE_LIMIT = 256 * 1024
"""Bytes that all annotations of an object may have; client-side `kubectl apply` keeps the whole CRD in one."""

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_GROUP = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")

_API_VERSION = (
    "Version of this representation of the object, as group/version. "
    "See https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND = (
    "What the object is. "
    "See https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)


def crd_manifests(resources: Iterable[type[CustomResource]]) -> list[dict[str, Any]]:
    """Return one CustomResourceDefinition per kind, versions in the order given, kinds by the name of the CRD.

    Raises
    ------
    SdkError
        A model cannot be expressed, or the versions of a kind contradict each other.
    """
    kinds: dict[tuple[str, str], list[type[CustomResource]]] = {}
    for resource in resources:
        if not hasattr(resource, "definition"):
            raise SdkError(
                f"{resource.__module__}.{resource.__name__} is no kind: its class statement names no group and version",
                hint=f'class {resource.__name__}(CustomResource, group="example.com", version="v1"): ...',
            )
        kinds.setdefault((resource.definition.group, resource.definition.kind), []).append(resource)
    crds: dict[str, dict[str, Any]] = {}
    for versions in kinds.values():
        crd = _manifest(versions)
        name = str(crd["metadata"]["name"])
        if name in crds:
            both = f"{crds[name]['spec']['names']['kind']} and {crd['spec']['names']['kind']}"
            raise SdkError(f"{both} would both be {name}", hint="say plural=... in a class statement, or rename one")
        crds[name] = crd
    return [crds[name] for name in sorted(crds)]


def _manifest(versions: list[type[CustomResource]]) -> dict[str, Any]:
    for version in versions:
        _check_names(version)
    _check_versions(versions)
    main = next(version.definition for version in versions if version.definition.storage)
    metadata: dict[str, Any] = {"name": main.name}
    if main.labels:
        metadata["labels"] = dict(main.labels)
    if main.annotations:
        metadata["annotations"] = dict(main.annotations)
    spec: dict[str, Any] = {
        "group": main.group,
        "names": _names(main),
        "scope": main.scope,
    }
    if main.conversion == "Webhook":
        spec["conversion"] = {
            "strategy": "Webhook",
            "webhook": {
                "clientConfig": {"service": {"name": "webhook-service", "namespace": "system", "path": "/convert"}},
                "conversionReviewVersions": ["v1"],
            },
        }
    spec["versions"] = [_version(version) for version in versions]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


def _check_versions(versions: list[type[CustomResource]]) -> None:
    definitions = [version.definition for version in versions]
    name = f"{definitions[0].kind}.{definitions[0].group}"
    storage = [definition.version for definition in definitions if definition.storage]
    if len(storage) != 1:
        found = f"{', '.join(storage)} all are" if storage else "none is"
        raise SdkError(
            f"{name}: exactly one version is stored, but {found}",
            hint="say storage=False in the class statements of the others"
            if storage
            else "leave storage=False out of one class statement",
        )
    names = [definition.version for definition in definitions]
    if len(set(names)) != len(names):
        raise SdkError(f"{name}: a version is defined twice ({', '.join(names)})", hint="list each class once")
    for aspect in ("plural", "singular", "list_kind", "short_names", "categories", "scope", "conversion"):
        values = {str(getattr(definition, aspect)) for definition in definitions}
        if len(values) > 1:
            raise SdkError(
                f"{name}: {aspect} is the same for all versions of a kind, not {' and '.join(sorted(values))}",
                hint=f"give {aspect} alike in the class statements of {', '.join(names)}",
            )


def _check_names(resource: type[CustomResource]) -> None:
    """Refuse what no API server takes as a name, a path or a scope."""
    definition = resource.definition
    wrong: list[tuple[str, object, str]] = []
    if not _GROUP.fullmatch(definition.group):
        wrong.append(("group", definition.group, "a domain with a dot, like cache.example.com"))
    words = {aspect: getattr(definition, aspect) for aspect in ("version", "plural", "singular")}
    words |= {"kind": definition.kind.lower(), "list_kind": definition.list_kind.lower()}
    for aspect, word in [*words.items(), *(("short_names", name) for name in definition.short_names)]:
        if not _LABEL.fullmatch(word):
            wrong.append((aspect, word, "at most 63 lower-case letters, digits and '-', starting with a letter"))
    if definition.scope not in get_args(Scope):
        wrong.append(("scope", definition.scope, " or ".join(get_args(Scope))))
    for column in definition.printer_columns:
        if not column.path.startswith("."):
            wrong.append((f"path of the printer column {column.name}", column.path, "a JSONPath like .spec.size"))
        if column.type not in get_args(ColumnType):
            wrong.append((f"type of the printer column {column.name}", column.type, ", ".join(get_args(ColumnType))))
    for aspect, value, what in wrong:
        raise SdkError(f"{resource.__module__}.{resource.__name__}: {aspect} is {value!r}", hint=f"it has to be {what}")


def _check_paths(resource: type[CustomResource], schema: Schema) -> None:
    """Refuse paths to fields that are not there, or of a type that nothing can be done with."""
    definition, wanted = resource.definition, list[tuple[str, str, tuple[str, ...]]]()
    if definition.scale:
        wanted += [
            ("scale.spec", definition.scale.spec, ("integer",)),
            ("scale.status", definition.scale.status, ("integer",)),
        ]
        if definition.scale.selector is not None:
            wanted.append(("scale.selector", definition.scale.selector, ("string",)))
    for path in definition.selectable_fields:
        wanted.append(("selectable_fields", path, ("string", "boolean", "integer")))
    for aspect, path, types in wanted:
        found: Schema | None = {"properties": schema["properties"]} if path.startswith(".") else None
        for step in path.removeprefix(".").split("."):
            found = (found or {}).get("properties", {}).get(step)
        if found is None or found.get("type") not in types:
            problem = "there is no such field" if found is None else f"the field is no {' or '.join(types)}"
            raise SdkError(
                f"{resource.__module__}.{resource.__name__}: {aspect} is {path!r}, and {problem}",
                hint="name a field as JSON has it, like .spec.replicas",
            )


def _names(definition: Definition) -> dict[str, Any]:
    names: dict[str, Any] = {
        "kind": definition.kind,
        "listKind": definition.list_kind,
        "plural": definition.plural,
        "singular": definition.singular,
    }
    if definition.short_names:
        names["shortNames"] = list(definition.short_names)
    if definition.categories:
        names["categories"] = list(definition.categories)
    return names


def _version(resource: type[CustomResource]) -> dict[str, Any]:
    definition = resource.definition
    version: dict[str, Any] = {"name": definition.version, "served": definition.served, "storage": definition.storage}
    if definition.deprecated:
        version["deprecated"] = True
    if definition.deprecation_warning:
        version["deprecationWarning"] = definition.deprecation_warning
    if definition.printer_columns:
        version["additionalPrinterColumns"] = [_column(column) for column in definition.printer_columns]
    if definition.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in definition.selectable_fields]
    subresources: dict[str, Any] = {}
    if definition.status and "status" in resource.model_fields:
        subresources["status"] = {}
    if definition.scale:
        subresources["scale"] = _scale(definition.scale)
    if subresources:
        version["subresources"] = subresources
    schema = _root(resource)
    _check_paths(resource, schema)
    version["schema"] = {"openAPIV3Schema": schema}
    return version


def _root(resource: type[CustomResource]) -> Schema:
    schema = structural_schema(resource)
    # The API server has its own idea of these three, and refuses any other.
    properties = {
        "apiVersion": {"description": _API_VERSION, "type": "string"},
        "kind": {"description": _KIND, "type": "string"},
        "metadata": {"type": "object"},
    }
    schema["properties"] = properties | {
        name: value for name, value in schema["properties"].items() if name not in properties
    }
    rules = [*schema.pop("x-kubernetes-validations", []), *(rule.to_json() for rule in resource.definition.rules)]
    root: Schema = {}
    for key, value in schema.items():
        if key in ("required", "properties") and rules:
            root["x-kubernetes-validations"], rules = rules, []
        root[key] = value
    return root


def _column(column: PrinterColumn) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type}
    if column.format:
        entry["format"] = column.format
    if column.description:
        entry["description"] = column.description
    entry["jsonPath"] = column.path
    if column.priority:
        entry["priority"] = column.priority
    return entry


def _scale(scale: Scale) -> dict[str, Any]:
    paths = {"specReplicasPath": scale.spec, "statusReplicasPath": scale.status}
    return paths | ({"labelSelectorPath": scale.selector} if scale.selector else {})
