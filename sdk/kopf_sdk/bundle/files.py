"""Objects that stay objects: which kinds may, under what file name, in what shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.labels import clean_metadata
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.profile import Profile

__all__ = ["FileNames", "crd_file_name", "object_text", "refusal", "without_nulls"]

# A kind's name alone says little: other groups have a Service or a NetworkPolicy too.
_GROUPS = {
    "Service": "",
    "ServiceAccount": "",
    "Secret": "",
    "ConfigMap": "",
    "Role": "rbac.authorization.k8s.io",
    "RoleBinding": "rbac.authorization.k8s.io",
    "ClusterRole": "rbac.authorization.k8s.io",
    "ClusterRoleBinding": "rbac.authorization.k8s.io",
    "PodDisruptionBudget": "policy",
    "PriorityClass": "scheduling.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "PrometheusRule": "monitoring.coreos.com",
    "ServiceMonitor": "monitoring.coreos.com",
    "PodMonitor": "monitoring.coreos.com",
    "VerticalPodAutoscaler": "autoscaling.k8s.io",
}
_REASONS = {
    "StatefulSet": "OLM installs Deployments only",
    "DaemonSet": "OLM installs Deployments only",
    "ReplicaSet": "OLM installs Deployments only",
    "Pod": "OLM installs Deployments only",
    "Job": "OLM runs no Jobs",
    "CronJob": "OLM runs no CronJobs",
    "Namespace": "OLM installs into a namespace that exists, and makes no other",
    "PersistentVolumeClaim": "OLM makes no volumes",
    "Ingress": "OLM installs no Ingress",
    "HorizontalPodAutoscaler": "OLM installs no HorizontalPodAutoscaler, and would undo its scaling of a Deployment",
}


def refusal(obj: Object, profile: Profile) -> str:
    """Return why an object cannot be a file of the bundle, "" when it can."""
    if obj.kind in profile.kinds and _GROUPS.get(obj.kind, obj.group) == obj.group:
        return ""
    if obj.kind in profile.refused:
        return profile.refused[obj.kind]
    return _REASONS.get(
        obj.kind, f"{obj.api_version} {obj.kind} is no kind that an OLM bundle may hold ({profile.title})"
    )


def object_text(obj: Object, keep: frozenset[tuple[str, str]]) -> str:
    """Return an object as a file: Helm's marks, namespace and status taken off."""
    rest = {key: value for key, value in obj.data.items() if key not in {"apiVersion", "kind", "metadata", "status"}}
    data: dict[str, Any] = {
        "apiVersion": obj.api_version,
        "kind": obj.kind,
        "metadata": clean_metadata(obj.metadata, keep),
        **rest,
    }
    return yaml.dump(without_nulls(data))


def without_nulls(value: Any) -> Any:
    """Return a copy without null fields; to Kubernetes they are the same as absent ones."""
    if isinstance(value, Mapping):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def crd_file_name(group: str, plural: str) -> str:
    """Return the file name of a CRD, as controller-gen has it."""
    return f"manifests/{group}_{plural}.yaml"


class FileNames:
    """File names of the manifests, as operator-sdk gives them, unique and safe on every file system."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, obj: Object) -> str:
        """Return the file name of an object."""
        group = f"{obj.group}_" if obj.group else ""
        version = obj.api_version.rpartition("/")[2]
        stem = re.sub(r"[^a-z0-9._-]+", "-", f"{obj.name}_{group}{version}_{obj.kind}".lower())
        numbered = (f"{stem}-{number}" for number in count(2))
        name = stem if stem not in self._taken else next(n for n in numbered if n not in self._taken)
        self._taken.add(name)
        return f"manifests/{name}.yaml"
