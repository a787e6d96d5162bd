"""Custom resource types → CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kopf_sdk.api import CustomResource, Definition, PrinterColumn, Scale
from kopf_sdk.errors import SdkError
from kopf_sdk.generate.schema import Schema, structural_schema

__all__ = ["SIZE_LIMIT", "crd_manifests"]

SIZE_LIMIT = 256 * 1024
"""Bytes that all annotations of an object may have; client-side `kubectl apply` keeps the whole CRD in one."""

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
    return sorted((_manifest(versions) for versions in kinds.values()), key=lambda crd: str(crd["metadata"]["name"]))


def _manifest(versions: list[type[CustomResource]]) -> dict[str, Any]:
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
            hint="say storage=False in the class statements of the others",
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
    version["schema"] = {"openAPIV3Schema": _root(resource)}
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
