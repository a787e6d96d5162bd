"""APIs that Kubernetes 1.22, 1.25 and 1.26 removed: operator-framework/api `removed_apis.go`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.semver import Version
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import failed, reporter

__all__ = ["RULES"]

_found = reporter("operatorframework")
_STRATEGY = "ClusterServiceVersion.Spec.InstallStrategy.StrategySpec"
_REMOVED_1_22 = {
    "scheduling.k8s.io/v1beta1": {"PriorityClass"},
    "rbac.authorization.k8s.io/v1beta1": {"Role", "ClusterRoleBinding", "RoleBinding", "ClusterRole"},
    "apiregistration.k8s.io/v1beta1": {"APIService"},
    "admissionregistration.k8s.io/v1beta1": {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"},
    "coordination.k8s.io/v1beta1": {"Lease"},
    "extensions/v1beta1": {"Ingress"},
    "networking.k8s.io/v1beta1": {"Ingress", "IngressClass"},
    "storage.k8s.io/v1beta1": {"CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"},
    "certificates.k8s.io/v1beta1": {"CertificateSigningRequest"},
}
_REMOVED_1_25 = {
    ("batch/v1beta1", "CronJob"),
    ("discovery.k8s.io/v1beta1", "EndpointSlice"),
    ("events.k8s.io/v1beta1", "Event"),
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"),
    ("policy/v1beta1", "PodDisruptionBudget"),
    ("policy/v1beta1", "PodSecurityPolicy"),
    ("node.k8s.io/v1beta1", "RuntimeClass"),
}
_DOUBTFUL_1_25 = {
    ("batch", "cronjobs"),
    ("discovery.k8s.io", "endpointslices"),
    ("events.k8s.io", "events"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("policy", "poddisruptionbudgets"),
    ("policy", "podsecuritypolicies"),
    ("node.k8s.io", "runtimeclasses"),
}


def _removed(bundle: Bundle) -> Iterator[Finding]:
    found_22, found_25, found_26 = _in_manifests(bundle)
    _in_related_resources(bundle, found_25)
    yield from _report(bundle, "1.22", found_22)
    yield from _report(bundle, "1.25", found_25)
    yield from _report(bundle, "1.25", _in_rules(bundle), only_warn=True)
    yield from _report(bundle, "1.26", found_26)


def _in_manifests(bundle: Bundle) -> tuple[dict[str, list[str]], dict[str, list[str]], dict[str, list[str]]]:
    found_22: dict[str, list[str]] = {}
    found_25: dict[str, list[str]] = {}
    found_26: dict[str, list[str]] = {}
    for manifest in bundle.manifests:
        if manifest.kind == "CustomResourceDefinition" and manifest.api_version == "apiextensions.k8s.io/v1beta1":
            found_22.setdefault("CRD", []).append(manifest.name)
        elif manifest.kind in _REMOVED_1_22.get(manifest.api_version, ()):
            found_22.setdefault(manifest.kind, []).append(manifest.name)
        if (manifest.api_version, manifest.kind) in _REMOVED_1_25:
            found_25.setdefault(manifest.kind, []).append(manifest.name)
        if (manifest.api_version, manifest.kind) == ("autoscaling/v2beta2", "HorizontalPodAutoscaler"):
            found_26.setdefault(manifest.kind, []).append(manifest.name)
    return found_22, found_25, found_26


def _related(bundle: Bundle) -> Iterator[tuple[str, Mapping[str, Any]]]:
    definitions = bundle.spec.get("customresourcedefinitions") or {}
    for relation in ("owned", "required"):
        for number, crd in enumerate(definitions.get(relation) or ()):
            for index, resource in enumerate(crd.get("resources") or ()):
                place = f"{relation.capitalize()}[{number}].Resource[{index}]"
                yield f"ClusterServiceVersion.Spec.CustomResourceDefinitions.{place}", resource


def _in_related_resources(bundle: Bundle, found: dict[str, list[str]]) -> None:
    for name, resource in _related(bundle):
        if (resource.get("version"), resource.get("kind")) in _REMOVED_1_25:
            found.setdefault(str(resource["kind"]), []).append(name)


def _in_rules(bundle: Bundle) -> dict[str, list[str]]:
    """Rules name a resource without its version, so they may mean the removed one, unless the CSV lists the kind."""
    listed = {f"{str(resource.get('kind', '')).lower()}s" for _, resource in _related(bundle)}
    found: dict[str, list[str]] = {}
    for field, name in (("clusterPermissions", "ClusterPermissions"), ("permissions", "Permissions")):
        for number, entry in enumerate(bundle.strategy.get(field) or ()):
            for index, rule in enumerate(entry.get("rules") or ()):
                for group in rule.get("apiGroups") or ():
                    for resource in rule.get("resources") or ():
                        if resource not in listed and (group, resource) in _DOUBTFUL_1_25:
                            found.setdefault(resource, []).append(f"{_STRATEGY}.{name}[{number}].Rules[{index}]")
    return found


def _report(
    bundle: Bundle, version: str, found: Mapping[str, list[str]], *, only_warn: bool = False
) -> Iterator[Finding]:
    if not found:
        return
    level = Level.WARNING if only_warn or not _reached(bundle, version) else Level.ERROR
    listing = ",".join(
        f"{kind}: ([{' '.join(chr(34) + name + chr(34) for name in names)}])" for kind, names in sorted(found.items())
    )
    anchor = version.replace(".", "-")
    detail = (
        f"this bundle is using APIs which were deprecated and removed in v{version}. More info: "
        f"https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v{anchor}. Migrate the API(s) for {listing}"
    )
    kinds = ", ".join(sorted(found))
    message = f"rules may mean a version of {kinds} that" if only_warn else f"{kinds} in a version that"
    places = "; ".join(place for names in found.values() for place in names)
    yield _found(
        level,
        "deprecated-api",
        csv_path(bundle, places) if only_warn else places,
        f"{message} Kubernetes {version} removed",
        "List the kind under the CRD's resources to say that you use the present version."
        if only_warn
        else "Use the present version.",
        failed(level, bundle.name, detail),
    )


def _reached(bundle: Bundle, version: str) -> bool:
    try:
        return Version.tolerant(str(bundle.spec.get("minKubeVersion") or "0")) >= Version.tolerant(version)
    except ValueError:
        return False


RULES = (_removed,)
