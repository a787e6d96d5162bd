"""What the console shows of an owned CRD: names, descriptions, related objects, descriptors of spec and status fields.

x-descriptors after openshift/console `packages/operator-lifecycle-manager/src/components/descriptors/types.ts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from kopf_sdk.bundle.config import CrdDescription, Descriptor
from kopf_sdk.bundle.crds import Crd, CrdVersion

__all__ = ["describe_crd", "related_resources", "spaced"]

_UI = "urn:alm:descriptor:com.tectonic.ui:"
_K8S = "urn:alm:descriptor:io.kubernetes"
# Resource in RBAC rules -> kind and version, for what an operator is likely to create.
_RESOURCES: dict[tuple[str, str], tuple[str, str]] = {
    ("apps", "deployments"): ("Deployment", "v1"),
    ("apps", "statefulsets"): ("StatefulSet", "v1"),
    ("apps", "daemonsets"): ("DaemonSet", "v1"),
    ("batch", "jobs"): ("Job", "v1"),
    ("batch", "cronjobs"): ("CronJob", "v1"),
    ("", "pods"): ("Pod", "v1"),
    ("", "services"): ("Service", "v1"),
    ("", "configmaps"): ("ConfigMap", "v1"),
    ("", "secrets"): ("Secret", "v1"),
    ("", "serviceaccounts"): ("ServiceAccount", "v1"),
    ("", "persistentvolumeclaims"): ("PersistentVolumeClaim", "v1"),
    ("policy", "poddisruptionbudgets"): ("PodDisruptionBudget", "v1"),
    ("networking.k8s.io", "ingresses"): ("Ingress", "v1"),
    ("networking.k8s.io", "networkpolicies"): ("NetworkPolicy", "v1"),
    ("rbac.authorization.k8s.io", "roles"): ("Role", "v1"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("RoleBinding", "v1"),
}
# Kinds of which Kubernetes removed a beta version: listing them says that the operator uses the present one.
_MOVED_ON: dict[tuple[str, str], tuple[str, str]] = {
    ("batch", "cronjobs"): ("CronJob", "v1"),
    ("discovery.k8s.io", "endpointslices"): ("EndpointSlice", "v1"),
    ("events.k8s.io", "events"): ("Event", "v1"),
    ("autoscaling", "horizontalpodautoscalers"): ("HorizontalPodAutoscaler", "v2"),
    ("policy", "poddisruptionbudgets"): ("PodDisruptionBudget", "v1"),
    ("node.k8s.io", "runtimeclasses"): ("RuntimeClass", "v1"),
}
_BY_NAME: tuple[tuple[re.Pattern[str], str, frozenset[str]], ...] = (
    (re.compile(r"^(?:replicas|size|instances|nodeCount|podCount)$"), "podCount", frozenset({"integer"})),
    (re.compile(r"^(?:pullPolicy|imagePullPolicy)$"), "imagePullPolicy", frozenset({"string"})),
    (re.compile(r"password|passphrase", re.IGNORECASE), "password", frozenset({"string"})),
    (re.compile(r"^updateStrategy$"), "updateStrategy", frozenset({"object"})),
    (re.compile(r"^nodeAffinity$"), "nodeAffinity", frozenset({"object"})),
    (re.compile(r"^podAffinity$"), "podAffinity", frozenset({"object"})),
    (re.compile(r"^podAntiAffinity$"), "podAntiAffinity", frozenset({"object"})),
)
_REFERENCES = (
    (re.compile(r"secret(?:Name|Ref)$", re.IGNORECASE), "Secret"),
    (re.compile(r"configMap(?:Name|Ref)$", re.IGNORECASE), "ConfigMap"),
    (re.compile(r"serviceAccount(?:Name)?$", re.IGNORECASE), "ServiceAccount"),
)
_TYPES = {"boolean": "booleanSwitch", "integer": "number", "number": "number", "string": "text"}
_DESCRIPTION_LIMIT = 400


def spaced(name: str) -> str:
    """Return a camel-case name as words: `ClusterIssuer` → `Cluster Issuer`, `tlsConfig` → `TLS Config`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name) or [name]
    known = {
        "tls": "TLS",
        "url": "URL",
        "dns": "DNS",
        "http": "HTTP",
        "https": "HTTPS",
        "ip": "IP",
        "id": "ID",
        "ca": "CA",
        "cpu": "CPU",
        "api": "API",
    }
    return " ".join(known.get(word.lower(), word[0].upper() + word[1:]) for word in words)


def related_resources(crd: Crd, rules: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return what custom resources lead to, derived from what the operator may create; at least the resource itself."""
    found: list[dict[str, str]] = []
    for rule in rules:
        creates = bool({"create", "*"} & set(rule.get("verbs") or ()))
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                kind = _MOVED_ON.get((group, resource)) or (_RESOURCES.get((group, resource)) if creates else None)
                entry = {"kind": kind[0], "name": "", "version": kind[1]} if kind else None
                if entry is not None and entry not in found:
                    found.append(entry)
    found.sort(key=lambda entry: entry["kind"])
    return found or [{"kind": crd.kind, "name": crd.name, "version": crd.served[0].name if crd.served else ""}]


def describe_crd(
    crd: Crd, version: CrdVersion, override: CrdDescription, resources: list[dict[str, str]]
) -> dict[str, Any]:
    """Return the entry of an owned CRD version in the CSV; what bundle.yaml says of it wins."""
    text = (
        _first_paragraph(str(version.schema.get("description") or ""))
        or f"{spaced(crd.kind)} ({crd.group}/{version.name})."
    )
    chosen = resources if override.resources is None else [asdict(item) for item in override.resources]
    entry: dict[str, Any] = {
        "name": crd.name,
        "version": version.name,
        "kind": crd.kind,
        "displayName": override.display_name or spaced(crd.kind),
        "description": override.description or text,
        "resources": chosen,
        "specDescriptors": _merge(_descriptors(version.section("spec"), _spec_x), override.spec_descriptors),
        "statusDescriptors": _merge(_descriptors(version.section("status"), _status_x), override.status_descriptors),
    }
    return {key: value for key, value in entry.items() if value or key not in {"specDescriptors", "statusDescriptors"}}


def _descriptors(section: Mapping[str, Any], x_of: Any) -> list[dict[str, Any]]:
    result = []
    for name, schema in sorted((section.get("properties") or {}).items()):
        entry: dict[str, Any] = {"path": name, "displayName": spaced(name)}
        description = _first_paragraph(str((schema or {}).get("description") or ""))
        if description:
            entry["description"] = description
        x_descriptors = x_of(name, schema or {})
        if x_descriptors:
            entry["x-descriptors"] = x_descriptors
        result.append(entry)
    return result


def _spec_x(name: str, schema: Mapping[str, Any]) -> list[str]:
    kind = str(schema.get("type", ""))
    properties = set(schema.get("properties") or ())
    if schema.get("enum"):
        return [f"{_UI}select:{choice}" for choice in schema["enum"] if choice != ""]
    if {"limits", "requests"} <= properties <= {"claims", "limits", "requests"}:
        return [f"{_UI}resourceRequirements"]
    for pattern, descriptor, types in _BY_NAME:
        if pattern.search(name) and kind in types:
            return [_UI + descriptor]
    for pattern, target in _REFERENCES:
        if pattern.search(name) and kind == "string":
            return [f"{_K8S}:{target}"]
    return [_UI + _TYPES[kind]] if kind in _TYPES else []


def _status_x(name: str, schema: Mapping[str, Any]) -> list[str]:
    if name == "conditions":
        return [f"{_K8S}.conditions"]
    if name == "phase":
        return [f"{_K8S}.phase"]
    if name in {"podStatuses", "pods"} and schema.get("type") == "object":
        return [f"{_UI}podStatuses"]
    return [f"{_UI}text"] if schema.get("type") in {"string", "integer", "number"} else []


def _merge(derived: list[dict[str, Any]], overrides: Iterable[Descriptor]) -> list[dict[str, Any]]:
    result = {entry["path"]: entry for entry in derived}
    for override in overrides:
        given = override.as_written()
        result[override.path] = {
            **result.get(
                override.path, {"path": override.path, "displayName": spaced(override.path.rsplit(".", 1)[-1])}
            ),
            **given,
        }
    return [result[path] for path in sorted(result)]


def _first_paragraph(text: str) -> str:
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    if len(paragraph) <= _DESCRIPTION_LIMIT:
        return paragraph
    return paragraph[:_DESCRIPTION_LIMIT].rsplit(" ", 1)[0] + " …"
