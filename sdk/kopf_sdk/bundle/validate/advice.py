"""What keeps a bundle from installing although the stock validators pass it; each rule from OLM's source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import SPEC_FIELDS, Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.images import split_reference
from kopf_sdk.bundle.olm_mounts import OLM_PATHS
from kopf_sdk.bundle.serving import olm_secret_name
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import reporter
from kopf_sdk.bundle.webhooks import forbidden_rule

__all__ = ["RULES"]

_found = reporter("advice")


def _pods(bundle: Bundle) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for number, deployment in enumerate(bundle.deployments):
        pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
        yield str(deployment.get("name")), f"spec.install.spec.deployments[{number}].spec.template.spec", pod


def _serving(bundle: Bundle) -> set[str]:
    apis = (bundle.spec.get("apiservicedefinitions") or {}).get("owned") or ()
    return {str(item.get("deploymentName")) for item in (*bundle.webhooks, *apis)}


def _owned_names(bundle: Bundle) -> Iterator[Finding]:
    """The stock validators compare group, version and kind; OLM v0 looks for an owned CRD by its name."""
    names = {crd.name for crd in bundle.crds}
    kinds = {((crd.data.get("spec") or {}).get("names") or {}).get("kind"): crd.name for crd in bundle.crds}
    for number, owned in enumerate(bundle.owned):
        name, there = str(owned.get("name")), kinds.get(owned.get("kind"))
        if there is not None and name not in names:
            message = f"the CRD of {owned.get('kind')} is called {there}, so OLM v0 waits for {name} for ever"
            where = csv_path(bundle, f"spec.customresourcedefinitions.owned[{number}].name")
            yield _found(Level.ERROR, "install/crd-name", where, message, f"Name it {there} here, too.")


def _no_deployment(bundle: Bundle) -> Iterator[Finding]:
    if bundle.csv and not bundle.deployments:
        where = csv_path(bundle, "spec.install.spec.deployments")
        yield _found(Level.ERROR, "install/deployment", where, "the bundle installs no deployment")


def _webhook_names(bundle: Bundle) -> Iterator[Finding]:
    names = Counter(str(webhook.get("generateName")) for webhook in bundle.webhooks)
    deployments = {deployment.get("name") for deployment in bundle.deployments}
    for number, webhook in enumerate(bundle.webhooks):
        where = csv_path(bundle, f"spec.webhookdefinitions[{number}]")
        name = str(webhook.get("generateName"))
        if names[name] > 1:
            message = (
                f"{name} is the name of {names[name]} webhooks; OLM v0 fails with: repeated WebhookDescription name"
            )
            yield _found(
                Level.ERROR,
                "install/webhook-name",
                f"{where}.generateName",
                message,
                "Names must be unique, over all types.",
            )
        if len(name) > 63:
            message = f"{name} has {len(name)} characters; OLM v0 uses it as a label, which has at most 63"
            yield _found(Level.ERROR, "install/webhook-name", f"{where}.generateName", message)
        if webhook.get("deploymentName") not in deployments:
            message = f"Deployment {webhook.get('deploymentName')} is not in the CSV"
            yield _found(Level.ERROR, "install/webhook-deployment", f"{where}.deploymentName", message)
        problem = forbidden_rule(webhook.get("rules") or ())
        if problem:
            yield _found(Level.ERROR, "install/webhook-rules", f"{where}.rules", problem)


def _service_accounts(bundle: Bundle) -> Iterator[Finding]:
    """OLM makes the accounts of the permissions, and those in files; a pod with another one never starts."""
    made = {"default", ""}
    for field in ("permissions", "clusterPermissions"):
        made.update(str(entry.get("serviceAccountName")) for entry in bundle.strategy.get(field) or ())
    made.update(manifest.name for manifest in bundle.manifests if manifest.kind == "ServiceAccount")
    for name, path, pod in _pods(bundle):
        account = str(pod.get("serviceAccountName") or "")
        if account not in made:
            message = f"nobody creates ServiceAccount {account}, so no pod of {name} starts"
            hint = "Add an entry for it to clusterPermissions; its rules may be empty."
            yield _found(
                Level.ERROR, "install/service-account", csv_path(bundle, f"{path}.serviceAccountName"), message, hint
            )


def _volumes(bundle: Bundle) -> Iterator[Finding]:
    present = {(manifest.kind, manifest.name) for manifest in bundle.manifests}
    serving = _serving(bundle)
    made = {olm_secret_name(name) for name in serving}
    for name, path, pod in _pods(bundle):
        for number, volume in enumerate(pod.get("volumes") or ()):
            where = csv_path(bundle, f"{path}.volumes[{number}]")
            for kind, target, optional in _sources(volume):
                if optional or (kind, target) in present or target in made or target == "kube-root-ca.crt":
                    continue
                message = f"nothing in the bundle creates {kind} {target}; pods of {name} wait until somebody does"
                yield _found(
                    Level.WARNING,
                    "install/volume",
                    where,
                    message,
                    "Make the volume optional, or say in the description who creates it.",
                )
            if (
                name in serving
                and volume.get("name") in OLM_PATHS
                and volume.get("secret", {}).get("secretName") not in made
            ):
                message = f"volume {volume['name']} is replaced by OLM's own of that name"
                yield _found(Level.WARNING, "install/volume-name", where, message, "Give it another name.")


def _sources(volume: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    for holder in (volume, *((volume.get("projected") or {}).get("sources") or ())):
        secret, config_map = holder.get("secret"), holder.get("configMap")
        if secret:
            yield "Secret", str(secret.get("secretName") or secret.get("name")), bool(secret.get("optional"))
        if config_map:
            yield "ConfigMap", str(config_map.get("name")), bool(config_map.get("optional"))


def _bindings(bundle: Bundle) -> Iterator[Finding]:
    accounts = {str(pod.get("serviceAccountName") or "") for _, _, pod in _pods(bundle)}
    for manifest in bundle.manifests:
        if manifest.kind not in {"RoleBinding", "ClusterRoleBinding"}:
            continue
        for number, subject in enumerate(manifest.data.get("subjects") or ()):
            if subject.get("kind") == "ServiceAccount" and subject.get("name") in accounts and subject.get("namespace"):
                message = (
                    f"binds {subject['name']} in namespace {subject['namespace']}, wherever the operator gets installed"
                )
                where = f"{manifest.path}: subjects[{number}].namespace"
                yield _found(
                    Level.WARNING,
                    "install/binding-namespace",
                    where,
                    message,
                    "Put the rules into permissions or clusterPermissions.",
                )


def _leftovers(bundle: Bundle) -> Iterator[Finding]:
    services = {f"{name}-service" for name in _serving(bundle)}
    for manifest in bundle.manifests:
        metadata = manifest.data.get("metadata") or {}
        marks = [
            key
            for key in (*(metadata.get("labels") or ()), *(metadata.get("annotations") or ()))
            if key.startswith("helm.sh/")
        ]
        if marks or (metadata.get("labels") or {}).get("app.kubernetes.io/managed-by") == "Helm":
            yield _found(
                Level.WARNING,
                "install/helm-marks",
                f"{manifest.path}: metadata",
                f"still bears Helm's marks: {', '.join(marks) or 'managed-by'}",
            )
        if manifest.kind == "Service" and manifest.name in services:
            yield _found(Level.ERROR, "install/service", manifest.path, f"OLM makes Service {manifest.name} itself")


def _images(bundle: Bundle) -> Iterator[Finding]:
    listed = {str(image.get("image")) for image in bundle.spec.get("relatedImages") or ()}
    missing = sorted({str(c.get("image")) for _, _, pod in _pods(bundle) for c in pod.get("containers") or ()} - listed)
    if missing:
        message = f"does not list {', '.join(missing)}; mirrors for disconnected clusters copy what is listed"
        yield _found(Level.WARNING, "install/related-images", csv_path(bundle, "spec.relatedImages"), message)
    for number, image in enumerate(bundle.spec.get("relatedImages") or ()):
        if not split_reference(str(image.get("image") or ""))[0]:
            yield _found(
                Level.ERROR,
                "install/related-images",
                csv_path(bundle, f"spec.relatedImages[{number}]"),
                "image is missing",
            )


def _field_names(bundle: Bundle) -> Iterator[Finding]:
    """Go's tools read field names in any case, the API server only in the right one: it drops the others."""
    for key in bundle.csv.get("spec") or ():
        right = SPEC_FIELDS.get(key.lower())
        if right != key:
            what = f"is written {right}" if right else "is no field of a CSV"
            yield _found(
                Level.WARNING, "install/field-name", csv_path(bundle, f"spec.{key}"), f"{what}; OLM does not see it"
            )


def _channels(bundle: Bundle) -> Iterator[Finding]:
    """operator-framework/api has this rule too; operator-sdk does not apply it, it never reads channels."""
    prefix = "operators.operatorframework.io.bundle.channel"
    names = {name.strip() for name in str(bundle.annotations.get(f"{prefix}s.v1", "")).split(",")}
    odd = sorted(name for name in names if name and not name.startswith(("candidate", "stable", "fast")))
    if odd:
        where = f"metadata/annotations.yaml: annotations[{prefix}s.v1]"
        message = f"names of channels start with candidate, fast or stable: {', '.join(odd)}"
        hint = "See https://olm.operatorframework.io/docs/best-practices/channel-naming"
        yield _found(Level.INFO, "channels", where, message, hint)


RULES = (
    _field_names,
    _channels,
    _owned_names,
    _no_deployment,
    _webhook_names,
    _service_accounts,
    _volumes,
    _bindings,
    _leftovers,
    _images,
)
