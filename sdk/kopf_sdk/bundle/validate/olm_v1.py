"""OLM v1: the 13 checks of operator-controller `registryv1/validators/validator.go`, and its documented limitations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.names import dns1123_subdomain
from kopf_sdk.bundle.profile import REGISTRY_KINDS
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import reporter
from kopf_sdk.bundle.webhooks import forbidden_rule

__all__ = ["RULES"]

_found = reporter("olm-v1")
_CONVERSION = "ConversionWebhook"


def _error(rule: str, where: str, message: str, hint: str = "") -> Finding:
    return _found(Level.ERROR, rule, where, message, hint, message)


def _deployments(bundle: Bundle) -> Iterator[Finding]:
    names = [str(deployment.get("name", "")) for deployment in bundle.deployments]
    where = csv_path(bundle, "spec.install.spec.deployments")
    for name, count in sorted(Counter(names).items()):
        if count > 1:
            yield _error(
                "v1/deployment-unique",
                where,
                f"cluster service version contains duplicate strategy deployment spec '{name}'",
            )
        problems = dns1123_subdomain(name)
        if problems:
            message = (
                f"invalid cluster service version strategy deployment name '{name}': {', '.join(sorted(problems))}"
            )
            yield _error("v1/deployment-name", where, message)


def _crds(bundle: Bundle) -> Iterator[Finding]:
    names = Counter(crd.name for crd in bundle.crds)
    for name, count in sorted(names.items()):
        if count > 1:
            yield _error(
                "v1/crd-unique", "manifests/", f"bundle contains duplicate custom resource definition '{name}'"
            )
    for name in sorted({str(owned.get("name")) for owned in bundle.owned} - set(names)):
        message = f"cluster service definition references owned custom resource definition '{name}' not found in bundle"
        yield _error("v1/crd-missing", csv_path(bundle, "spec.customresourcedefinitions.owned"), message)


def _package(bundle: Bundle) -> Iterator[Finding]:
    if not bundle.package:
        yield _error("v1/package", "metadata/annotations.yaml", "package name is empty")


def _conversion(bundle: Bundle) -> Iterator[Finding]:
    supported = sorted(mode["type"] for mode in bundle.spec.get("installModes") or () if mode.get("supported"))
    owned = {owned.get("name") for owned in bundle.owned}
    users: dict[str, list[str]] = {}
    for number, webhook in enumerate(bundle.webhooks):
        if webhook.get("type") != _CONVERSION:
            continue
        where = csv_path(bundle, f"spec.webhookdefinitions[{number}]")
        name = str(webhook.get("generateName"))
        if supported != ["AllNamespaces"]:
            message = (
                f'bundle contains conversion webhook "{name}" and supports install modes [{" ".join(supported)}] '
                f"- conversion "
                "webhooks are only supported for bundles that only support AllNamespaces install mode"
            )
            yield _error("v1/conversion-modes", where, message)
        for crd in sorted(webhook.get("conversionCRDs") or ()):
            users.setdefault(crd, []).append(name)
            if crd not in owned:
                yield _error(
                    "v1/conversion-owned",
                    where,
                    f"conversion webhook '{name}' references custom resource definition '{crd}' not owned bundle",
                )
    for crd, names in sorted(users.items()):
        if len(names) > 1:
            message = (
                f"conversion webhooks [{','.join(sorted(names))}] reference same custom resource definition '{crd}'"
            )
            yield _error("v1/conversion-unique", csv_path(bundle, "spec.webhookdefinitions"), message)


def _webhooks(bundle: Bundle) -> Iterator[Finding]:
    deployments = {deployment.get("name") for deployment in bundle.deployments}
    seen: Counter[tuple[Any, Any]] = Counter()
    for number, webhook in enumerate(bundle.webhooks):
        where = csv_path(bundle, f"spec.webhookdefinitions[{number}]")
        kind, name, deployment = (
            webhook.get("type"),
            str(webhook.get("generateName", "")),
            webhook.get("deploymentName"),
        )
        if deployment not in deployments:
            message = f"webhook of type '{kind}' with name '{name}' references non-existent deployment '{deployment}'"
            yield _error("v1/webhook-deployment", where, message)
        problems = dns1123_subdomain(name)
        if problems:
            yield _error(
                "v1/webhook-name",
                where,
                f"webhook of type '{kind}' has invalid name '{name}': {','.join(sorted(problems))}",
            )
        seen[(kind, name)] += 1
        if seen[(kind, name)] == 2:
            yield _error("v1/webhook-unique", where, f"duplicate webhook '{name}' of type '{kind}'")
        problem = "" if kind == _CONVERSION else forbidden_rule(webhook.get("rules") or ())
        if problem:
            yield _error("v1/webhook-rules", f"{where}.rules", f'webhook "{name}" contains forbidden rule: {problem}')


def _kinds(bundle: Bundle) -> Iterator[Finding]:
    for manifest in bundle.manifests:
        if manifest.kind not in REGISTRY_KINDS:
            yield _error(
                "v1/kind", manifest.path, f'unsupported resource "{manifest.name}" with kind "{manifest.kind}"'
            )


def _limitations(bundle: Bundle) -> Iterator[Finding]:
    modes = {mode.get("type"): mode.get("supported") for mode in bundle.spec.get("installModes") or ()}
    if not modes.get("AllNamespaces"):
        message = "OLM v1 installs bundles that support AllNamespaces only, unless an alpha feature gate is on"
        yield _error("v1/all-namespaces", csv_path(bundle, "spec.installModes"), message)
    for number, dependency in enumerate(bundle.dependencies):
        kind = dependency.get("type")
        if kind in {"olm.gvk", "olm.package", "olm.constraint"}:
            message = f"OLM v1 refuses bundles with dependencies ({kind})"
            yield _error("v1/dependencies", f"metadata/dependencies.yaml: dependencies[{number}]", message)
    if (bundle.spec.get("apiservicedefinitions") or {}).get("owned"):
        yield _error(
            "v1/api-services",
            csv_path(bundle, "spec.apiservicedefinitions"),
            "OLM v1 refuses bundles with aggregated APIs",
        )


def _generic_names(bundle: Bundle) -> Iterator[Finding]:
    """OLM v1 refuses to take over what somebody else owns, so two bundles must not have the same cluster-wide names."""
    words = [word for word in bundle.package.split("-") if word not in {"operator", "controller"}] or [bundle.package]
    for manifest in bundle.manifests:
        if REGISTRY_KINDS.get(manifest.kind, True) or manifest.kind == "CustomResourceDefinition":
            continue
        if not any(word in manifest.name for word in words):
            message = (
                f"{manifest.kind} {manifest.name} is cluster-wide and named for nothing of this package; a "
                f"second "
                f"bundle with it fails"
            )
            yield _found(
                Level.WARNING,
                "v1/generic-name",
                f"{manifest.path}: metadata.name",
                message,
                "Set fullnameOverride, or patch the name.",
            )


RULES = (_deployments, _crds, _package, _conversion, _webhooks, _kinds, _limitations, _generic_names)
