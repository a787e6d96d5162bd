"""Deployments, field by field; where they differ, what of OLM explains it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.compare import ABSENT, Difference, differences
from kopf_sdk.bundle.diff.world import World
from kopf_sdk.bundle.fate import Disposition, Notice
from kopf_sdk.bundle.labels import is_foreign_annotation, is_helm_mark
from kopf_sdk.bundle.lock import pin_text
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.olm_mounts import OLM_PATHS
from kopf_sdk.bundle.serving import find_backend, olm_secret_name, olm_service_name

__all__ = ["compare_deployments"]

_POD_ANNOTATIONS = "spec.template.metadata.annotations"


def compare_deployments(world: World) -> Iterator[Notice]:
    """Compare every Deployment, labels and annotations included, in both directions."""
    there = {obj.name: obj for obj in by_kind(world.cluster, "Deployment")}
    expected = {obj.name: obj for obj in world.rendered if obj.kind == "Deployment" or _becomes_deployment(world, obj)}
    for name in sorted(there.keys() - expected.keys()):
        yield world.error(there[name].ref, "is in the bundle, and not in the rendering")
    for name, obj in expected.items():
        if name not in there:
            yield world.error(obj.ref, "is in the rendering, and not in the bundle")
        else:
            yield from _fields(world, obj, there[name])


def _becomes_deployment(world: World, obj: Object) -> bool:
    return any(
        fate.ref == obj.ref and fate.disposition is Disposition.TRANSFORMED and "deployments[" in fate.where
        for fate in world.conversion.fates
    )


def _fields(world: World, obj: Object, there: Object) -> Iterator[Notice]:
    before = {"metadata": {"labels": obj.labels, "annotations": obj.annotations}, "spec": obj.spec}
    after = {"metadata": {"labels": there.labels, "annotations": there.annotations}, "spec": there.spec}
    if obj.kind != "Deployment":
        common = ("selector", "template")
        before["spec"] = {key: obj.spec.get(key) for key in common}
        after["spec"] = {key: there.spec.get(key) for key in common}
    moved = _account_settings(world, obj)
    for difference in differences(before, after):
        name = _explain(world, difference, obj, moved)
        yield world.notice(obj.ref, difference, name)


def _account_settings(world: World, deployment: Object) -> set[str]:
    pod = deployment.spec["template"]["spec"]
    account = str(pod.get("serviceAccountName") or "default")
    for obj in by_kind(world.rendered, "ServiceAccount"):
        if obj.name == account:
            return {key for key in ("imagePullSecrets", "automountServiceAccountToken") if key in obj.data}
    return set()


def _explain(world: World, difference: Difference, obj: Object, moved: Collection[str]) -> str:
    path, before, after = difference
    if isinstance(before, str) and pin_text(before, world.conversion.lock) == after:
        return "image-pinned"
    pod_field = path.removeprefix("spec.template.spec.")
    if path == "spec.revisionHistoryLimit":
        return "revision-history"
    if path.startswith("metadata.annotations"):
        return "deployment-metadata"
    if path.startswith(_POD_ANNOTATIONS) and before is ABSENT:
        return "olm-annotations"
    if path.startswith(_POD_ANNOTATIONS) and after is ABSENT:
        return "helm-marks" if is_foreign_annotation(path.removeprefix(f"{_POD_ANNOTATIONS}.")) else ""
    if ".labels." in path and after is ABSENT and is_helm_mark(path.split(".labels.", 1)[1], str(before), obj.labels):
        return "helm-marks"
    if path.startswith("spec.template.metadata.labels") and after is ABSENT:
        labels = obj.spec["template"]["metadata"].get("labels") or {}
        return "helm-marks" if is_helm_mark(path.split(".labels.", 1)[1], str(before), labels) else ""
    if pod_field.split(".")[0].split("[")[0] in moved:
        return "account-settings"
    if ".env" in path:
        return _explain_env(world, difference)
    if ".volumeMounts" in path or pod_field.startswith("volumes"):
        return _explain_volume(world, difference, obj)
    if isinstance(before, str) and isinstance(after, str) and (".args" in path or ".command" in path):
        return _explain_text(world, difference)
    return ""


def _explain_env(world: World, difference: Difference) -> str:
    path, before, after = difference
    entries = after if isinstance(after, list) else [after]
    if "olm.targetNamespaces" in str(after):
        return "target-namespaces"
    if before is ABSENT and all(isinstance(entry, Mapping) for entry in entries):
        reasons = {_added_variable(entry) for entry in entries}
        return reasons.pop() if len(reasons) == 1 else ("install-namespace" if "" not in reasons else "")
    if path.endswith(".value") and after is ABSENT:
        return "target-namespaces"
    if isinstance(before, str) and isinstance(after, str):
        return _explain_text(world, difference)
    return "target-namespaces" if "valueFrom" in path and "metadata.annotations" in str(after) else ""


def _added_variable(entry: Mapping[str, Any]) -> str:
    path = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
    if entry.get("name") == "OPERATOR_CONDITION_NAME":
        return "olm-condition"
    if path == "metadata.namespace":
        return "install-namespace"
    return "target-namespaces" if "olm.targetNamespaces" in path else ""


def _explain_text(world: World, difference: Difference) -> str:
    path, before, after = difference
    expected = before
    for backend_service, deployment in _webhook_services(world):
        if backend_service in expected and olm_service_name(deployment) in after:
            expected = expected.replace(f"{backend_service}.", f"{olm_service_name(deployment)}.")
    renamed = expected != before
    if "$(OLM_TARGET_NAMESPACES)" in after:
        return "target-namespaces"
    for variable in ("$(POD_NAMESPACE)", "$(OLM_INSTALL_NAMESPACE)"):
        if variable in after and world.namespace.replace_in_pod(expected, variable, path) == after:
            return "service-name" if renamed else "install-namespace"
    if renamed and expected == after:
        return "service-name"
    if "$(" in after and after.count("$(") > before.count("$("):
        variable = f"$({after.partition('$(')[2].partition(')')[0]})"
        if world.namespace.replace_in_pod(expected, variable, path) == after:
            return "install-namespace"
    return ""


def _webhook_services(world: World) -> list[tuple[str, str]]:
    deployments = by_kind(world.conversion.rendered, "Deployment")
    found = []
    for service in by_kind(world.conversion.rendered, "Service"):
        for port in service.spec.get("ports") or ():
            backend = find_backend(service, int(port.get("port") or 0), deployments)
            if backend is not None:
                found.append((service.name, backend.deployment))
    return found


def _explain_volume(world: World, difference: Difference, obj: Object) -> str:
    path, before, after = difference
    secret = olm_secret_name(obj.name)
    if any(reserved in path for reserved in OLM_PATHS) or any(p in path for p in OLM_PATHS.values()):
        return "olm-certificates"
    if isinstance(before, str) and before in OLM_PATHS and str(after).startswith(f"{before}-"):
        return "olm-certificates"
    if before is ABSENT and isinstance(after, list) and {item.get("name") for item in after} <= set(OLM_PATHS):
        return "olm-certificates"
    if secret in str(after) or any(key in str(after) for key in ("olmCAKey", "tls.crt", "tls.key")):
        return "certificate-volume"
    if path.startswith("spec.template.spec.volumes") and _is_repointed(world, path, obj, secret):
        return "certificate-volume"
    if after is ABSENT and isinstance(before, (Mapping, list)) and _certificate_mount(before, obj):
        return "olm-certificates"
    return ""


def _is_repointed(world: World, path: str, obj: Object, secret: str) -> bool:
    there = next(o for o in by_kind(world.cluster, "Deployment") if o.name == obj.name)
    for volume in there.spec["template"]["spec"].get("volumes") or ():
        if f"[{volume.get('name')}]" in path:
            return secret in str(volume)
    return _gone_with_olm_mount(path, obj)


def _gone_with_olm_mount(path: str, obj: Object) -> bool:
    """A volume that was mounted at one of OLM's paths only is replaced by OLM's own."""
    pod = obj.spec["template"]["spec"]
    mounts = [m for c in pod.get("containers") or () for m in c.get("volumeMounts") or ()]
    for volume in pod.get("volumes") or ():
        if f"[{volume.get('name')}]" in path:
            places = [str(m.get("mountPath")).rstrip("/") for m in mounts if m.get("name") == volume.get("name")]
            return bool(places) and all(place in OLM_PATHS.values() for place in places)
    return False


def _certificate_mount(before: Any, obj: Object) -> bool:
    items = before if isinstance(before, list) else [before]
    paths = {str(item.get("mountPath")).rstrip("/") for item in items if "mountPath" in item}
    return bool(paths) and paths <= set(OLM_PATHS.values())
