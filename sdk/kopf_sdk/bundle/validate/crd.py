"""CRDs without their schemas: operator-framework/api `crd.go`, so apiextensions-apiserver's validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.names import dns1035_label, dns1123_subdomain
from kopf_sdk.bundle.validate.wording import reporter

__all__ = ["RULES"]

_found = reporter("default")


def _crds(bundle: Bundle) -> Iterator[Finding]:
    for crd in bundle.crds:
        if crd.api_version == "apiextensions.k8s.io/v1":
            for field, problem in _problems(crd.data):
                yield _found(
                    Level.ERROR,
                    "crd/invalid",
                    f"{crd.path}: {field}",
                    problem,
                    "The API server would refuse the CRD.",
                    f"{field}: {problem}",
                )
        elif crd.api_version != "apiextensions.k8s.io/v1beta1":
            message = f"unsupported CRD version {crd.api_version}"
            yield _found(
                Level.ERROR,
                "crd/api-version",
                f"{crd.path}: apiVersion",
                message,
                "Use apiextensions.k8s.io/v1.",
                message,
            )


def _problems(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = data.get("spec") or {}
    names = spec.get("names") or {}
    name = str((data.get("metadata") or {}).get("name", ""))
    group = str(spec.get("group") or "")
    if name != f"{names.get('plural')}.{group}":
        yield "metadata.name", "must be spec.names.plural.spec.group"
    if not group:
        yield "spec.group", "is required"
    elif dns1123_subdomain(group):
        yield "spec.group", dns1123_subdomain(group)[0]
    elif "." not in group:
        yield "spec.group", "should be a domain with at least one dot"
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        yield "spec.scope", f"{spec.get('scope')!r} is none of Cluster, Namespaced"
    yield from _names(names)
    yield from _versions(spec)
    yield from _conversion(spec)


def _names(names: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # singular and listKind are defaulted by the API server.
    for key in ("plural", "kind"):
        if not names.get(key):
            yield f"spec.names.{key}", "is required"
    for key in ("plural", "singular", "kind", "listKind"):
        value = str(names.get(key) or "")
        if value and dns1035_label(value.lower() if "ind" in key else value):
            yield f"spec.names.{key}", f"{value!r} is no DNS-1035 label"
    for key in ("shortNames", "categories"):
        for number, value in enumerate(names.get(key) or ()):
            if dns1035_label(str(value)):
                yield f"spec.names.{key}[{number}]", f"{value!r} is no DNS-1035 label"
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield "spec.names.listKind", "kind and listKind may not be the same"


def _versions(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    versions = spec.get("versions") or []
    seen = [version.get("name") for version in versions]
    for number, version in enumerate(versions):
        if dns1035_label(str(version.get("name") or "")):
            yield f"spec.versions[{number}].name", f"{version.get('name')!r} is no DNS-1035 label"
        if version.get("deprecationWarning") and not version.get("deprecated"):
            yield f"spec.versions[{number}].deprecationWarning", "can only be set for deprecated versions"
    if len(set(seen)) != len(seen):
        yield "spec.versions", "must contain unique version names"
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield "spec.versions", "must have exactly one version marked as storage version"


def _conversion(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    conversion = spec.get("conversion")
    if not conversion:
        return
    strategy = conversion.get("strategy")
    if strategy not in {"None", "Webhook"}:
        yield "spec.conversion.strategy", f"{strategy!r} is none of None, Webhook"
    if strategy != "Webhook":
        return
    if spec.get("preserveUnknownFields"):
        yield "spec.conversion.strategy", "must be None if spec.preserveUnknownFields is true"
    webhook = conversion.get("webhook") or {}
    client = webhook.get("clientConfig") or {}
    if bool(client.get("url")) == bool(client.get("service")):
        yield "spec.conversion.webhookClientConfig", "exactly one of url or service is required"
    if not set(webhook.get("conversionReviewVersions") or ()) & {"v1", "v1beta1"}:
        yield "spec.conversion.conversionReviewVersions", "must include at least one of v1, v1beta1"


RULES = (_crds,)
