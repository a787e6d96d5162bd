"""The bundle's directory: operator-registry `pkg/lib/bundle/validate.go`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.profile import REGISTRY_KINDS
from kopf_sdk.bundle.semver import parse_range
from kopf_sdk.bundle.validate.wording import reporter

__all__ = ["RULES"]

_found = reporter("default")
_PREFIX = "operators.operatorframework.io.bundle"
_ANNOTATIONS = "metadata/annotations.yaml"


def _directories(bundle: Bundle) -> Iterator[Finding]:
    for folder in ("manifests", "metadata"):
        if not any(path.startswith(f"{folder}/") for path in bundle.files):
            yield _found(
                Level.ERROR,
                "format/directory",
                f"{folder}/",
                f"there is no {folder}/ with files in it",
                upstream=f"Unable to locate {folder} directory",
            )


def _annotations(bundle: Bundle) -> Iterator[Finding]:
    annotations = bundle.annotations
    if not annotations:
        yield _found(
            Level.ERROR,
            "format/annotations",
            _ANNOTATIONS,
            "no file of metadata/ has annotations",
            upstream="Could not find annotations file",
        )
        return
    required = {
        "mediatype": "registry+v1",
        "manifests": "manifests/",
        "metadata": "metadata/",
        "package": "",
        "channels": "",
    }
    for short, value in required.items():
        key = f"{_PREFIX}.{short}.v1"
        where = f"{_ANNOTATIONS}: annotations[{key}]"
        if key not in annotations:
            yield _found(
                Level.ERROR,
                "format/annotation-missing",
                where,
                "the annotation is missing",
                upstream=f'Missing annotation "{key}"',
            )
        elif value and annotations[key] != value and short == "mediatype":
            yield _found(
                Level.ERROR,
                "format/annotation-value",
                where,
                f"must be {value}, is {annotations[key]}",
                upstream=f'Expecting annotation "{key}" to have value "{value}" instead of "{annotations[key]}"',
            )
        if short == "channels" and not annotations.get(key):
            yield _found(
                Level.ERROR,
                "format/channels",
                where,
                "names no channel",
                upstream=f'Expecting annotation "{key}" to have non-empty value',
            )
    key = f"{_PREFIX}.channel.default.v1"
    if key in annotations and not annotations[key]:
        yield _found(
            Level.ERROR,
            "format/default-channel",
            f"{_ANNOTATIONS}: annotations[{key}]",
            "is empty",
            "Name one of the channels, or leave the annotation away.",
            upstream=f'Expecting annotation "{key}" to have non-empty value',
        )


def _kinds(bundle: Bundle) -> Iterator[Finding]:
    for path, problem in bundle.problems:
        yield _found(Level.ERROR, "format/manifest", path, problem, "A file of manifests/ holds one Kubernetes object.")
    for manifest in bundle.manifests:
        if manifest.kind not in REGISTRY_KINDS:
            yield _found(
                Level.ERROR,
                "format/kind",
                f"{manifest.path}: kind",
                f"{manifest.kind or 'an object without a kind'} is no kind that a bundle may hold",
                "Take it out; see `kopf-sdk bundle explain` for what becomes of a chart's objects.",
                upstream=f"{manifest.kind} is not supported type for registryV1 bundle",
            )
    count = sum(manifest.kind == "ClusterServiceVersion" for manifest in bundle.manifests)
    if count != 1:
        yield _found(Level.ERROR, "format/csv", "manifests/", f"holds {count} ClusterServiceVersions instead of one")


def _dependencies(bundle: Bundle) -> Iterator[Finding]:
    for number, dependency in enumerate(bundle.dependencies):
        where = f"metadata/dependencies.yaml: dependencies[{number}]"
        kind, value = dependency.get("type"), dependency.get("value")
        problem = _dependency_problem(str(kind), value)
        if problem:
            yield _found(
                Level.ERROR,
                "format/dependency",
                where,
                problem,
                "Types: olm.gvk, olm.package, olm.label, olm.constraint.",
            )


def _dependency_problem(kind: str, value: Any) -> str:
    if kind not in {"olm.gvk", "olm.package", "olm.label", "olm.constraint"}:
        return f"type {kind} is none that OLM knows"
    if not isinstance(value, Mapping):
        return "value: a mapping is expected"
    required = {
        "olm.gvk": ("group", "version", "kind"),
        "olm.package": ("packageName", "version"),
        "olm.label": ("label",),
    }
    missing = [key for key in required.get(kind, ()) if not value.get(key)]
    if missing:
        return f"value: {', '.join(missing)} missing"
    if kind == "olm.package":
        try:
            parse_range(str(value["version"]))
        except ValueError as error:
            return f"value.version: {error}"
    return ""


RULES = (_directories, _annotations, _kinds, _dependencies)
