"""What was rendered is sorted: what counts twice, what rules leave out, what becomes a deployment."""

from __future__ import annotations

from typing import Any

from kopf_sdk.bundle.convert.draft import Draft, install_namespace
from kopf_sdk.bundle.crds import read_crd
from kopf_sdk.bundle.fate import Disposition, Level, remedies, without_claims
from kopf_sdk.bundle.files import without_nulls
from kopf_sdk.bundle.hooks import is_test
from kopf_sdk.bundle.labels import selected_labels, strip_pod_template
from kopf_sdk.bundle.objects import Object

__all__ = ["collect", "leave_out", "prepare"]

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
# Objects of these kinds belong to a namespace even when the chart does not write it down.
_ALWAYS_NAMESPACED = _WORKLOADS | {"ServiceAccount", "Role", "RoleBinding", "Service", "Secret", "ConfigMap"}


def prepare(draft: Draft) -> None:
    """Apply patches, find the namespace, and take out what was rendered twice."""
    objects = draft.rules.patched(draft.objects)
    draft.namespace = install_namespace(objects, draft.known_namespace)
    draft.result.namespace = draft.namespace.name
    draft.result.install_namespace = draft.namespace
    normal = [_with_namespace(draft, obj) for obj in objects]
    draft.result.rendered = normal
    draft.keep_labels = selected_labels(normal)
    seen: dict[tuple[str, str, str, str], Object] = {}
    for obj in normal:
        key = (obj.group, obj.kind, obj.namespace, obj.name)
        twin = seen.setdefault(key, obj)
        if twin is obj:
            draft.open[id(obj)] = obj
        elif twin.data == obj.data:
            draft.fate(obj, Disposition.LEFT_OUT, "", "rendered twice, word for word")
        elif obj.kind == "CustomResourceDefinition" and "/crds/" in obj.source and "/crds/" in twin.source:
            reason = f"Helm creates a CRD of crds/ only if it does not exist: the one of {twin.source} counts"
            draft.fate(obj, Disposition.LEFT_OUT, "", reason)
        else:
            draft.fate(
                obj,
                Disposition.NO_PLACE,
                "",
                f"rendered twice with different content, first by {twin.source or 'another document'}",
                remedies(obj),
            )


def _with_namespace(draft: Draft, obj: Object) -> Object:
    if obj.kind not in _ALWAYS_NAMESPACED or obj.namespace:
        return obj
    return obj.with_data({**obj.data, "metadata": {**obj.metadata, "namespace": draft.namespace.name}})


def leave_out(draft: Draft) -> None:
    """Leave out what bundle.yaml drops, and tests."""
    for obj in draft.all():
        rule = draft.rules.drop(obj)
        if rule is not None:
            draft.fate(obj, Disposition.LEFT_OUT, "", f"bundle.yaml: {rule.reason}")
        elif is_test(obj):
            draft.fate(obj, Disposition.LEFT_OUT, "", "a Helm test; OLM has none")


def collect(draft: Draft) -> None:
    """Find the deployments and the CRDs."""
    for obj in draft.all("Deployment", "StatefulSet", "DaemonSet"):
        if obj.kind == "Deployment" or draft.rules.mapped(obj) == "deployment":
            if obj.namespace != draft.namespace.name:
                draft.fate(
                    obj,
                    Disposition.NO_PLACE,
                    "",
                    f"OLM installs into one namespace only, not into {obj.namespace}",
                    (f"namespace: {obj.namespace}", *remedies(obj)),
                )
                continue
            draft.deployments[obj.name] = obj
            draft.specs[obj.name] = _deployment_spec(draft, obj)
    for obj in draft.all("CustomResourceDefinition"):
        crd = read_crd(obj.data)
        if crd.served:
            draft.crds.append((obj, crd))
        else:
            reason = "none of its versions is served: nobody can use it, and OLM would wait for it in vain"
            draft.fate(obj, Disposition.LEFT_OUT, "", reason)


def _deployment_spec(draft: Draft, obj: Object) -> dict[str, Any]:
    spec: dict[str, Any] = without_nulls(strip_pod_template(obj.spec, draft.keep_labels))
    if obj.kind != "Deployment":
        for key in (
            "serviceName",
            "podManagementPolicy",
            "updateStrategy",
            "persistentVolumeClaimRetentionPolicy",
            "ordinals",
        ):
            spec.pop(key, None)
        spec.setdefault("replicas", 1)
        claims = spec.pop("volumeClaimTemplates", None)
        if claims:
            draft.notice(
                Level.ERROR,
                "map-volumes",
                "volumeClaimTemplates have no counterpart in a Deployment",
                obj,
                f"Patch them away:\n{without_claims(obj)}",
            )
    return spec
