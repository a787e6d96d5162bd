"""OLM taken off a cluster: what users have of it first, then its API, its operators, its CRDs, and what it made."""

from __future__ import annotations

import time
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.olm.install import NAMESPACE, OPERATORS
from kopf_sdk.olm.status import API_SERVICE, CRDS, MANAGED_BY, PART_OF_OLM, olm_status
from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError
from kopf_sdk.testing.cluster.progress import SILENT, Progress

__all__ = ["uninstall_olm"]

_OURS = ",".join(f"{key}={value}" for key, value in (MANAGED_BY | PART_OF_OLM).items())
_MADE_BY_OLM = "olm.managed=true"
_GROUP_LABEL = "olm.operatorgroup.uid/"
_FINALIZER = "operators.coreos.com/csv-cleanup"
# Seconds after which a ClusterServiceVersion counts as one that nobody cleans up after: OLM does not run.
_CLEANUP = 30.0


def uninstall_olm(
    cluster: Kubectl, *, force: bool = False, timeout: float = 180.0, progress: Progress = SILENT
) -> bool:
    """Remove OLM with its CRDs and its namespaces; returns whether it was there.

    Parameters
    ----------
    force
        Also when operators are installed by it: they go as well. Their CRDs and resources stay.

    Raises
    ------
    SdkError
        Operators are installed by it, or it is not ours.
    """
    found = olm_status(cluster)
    if found.state == "absent":
        return False
    if not found.managed:
        raise SdkError(
            f"OLM in namespace {found.namespace or 'unknown'} was not installed by kopf-sdk",
            hint="remove it the way it was installed",
        )
    if not force and (users := _in_use(cluster)):
        raise SdkError(
            f"OLM is in use: {', '.join(users[:5])}{', …' if len(users) > 5 else ''}",
            hint="kopf-sdk cleanup PACKAGE --namespace … removes an operator; --force removes OLM with all of them",
        )
    limit = f"--timeout={timeout:.0f}s"
    with progress.step("operators of OLM removed"):
        _delete(cluster, "subscriptions.operators.coreos.com", "--all", "--all-namespaces", limit)
        _delete_versions(cluster, timeout)
        # Unless it goes first, every namespace waits for an API that nobody serves.
        _delete(cluster, "apiservice", API_SERVICE, limit)
    with progress.step("OLM removed"):
        _delete(cluster, "deployments", "--namespace", NAMESPACE, "--all", limit)
        _delete(cluster, "crd", *CRDS, limit)
        for made in (_OURS, _MADE_BY_OLM):
            _delete(cluster, "clusterrolebindings,clusterroles", "--selector", made, limit)
        _delete(cluster, "rolebindings", "--namespace", "kube-system", "--selector", _MADE_BY_OLM, limit)
        _forget_groups(cluster)
        _delete(cluster, "namespaces", "--selector", _OURS, limit)
    return True


def _delete(cluster: Kubectl, *arguments: str) -> None:
    try:
        cluster.kubectl("delete", *arguments, "--ignore-not-found", timeout=600)
    except KubectlError as error:
        if "the server doesn't have a resource type" not in error.message:
            raise


def _in_use(cluster: Kubectl) -> list[str]:
    """What people have installed with it, and what runs in its namespace for operators, which goes with it."""
    users = [f"Subscription {_where(item)}" for item in _list(cluster, "subscriptions.operators.coreos.com")]
    users += [f"ClusterServiceVersion {_where(item)}" for item in _versions(cluster) if not _is_own(item)]
    if not users:
        users += [
            f"Pod {_where(item)}" for item in _list(cluster, "pods") if item["metadata"]["namespace"] == OPERATORS
        ]
    return users


def _versions(cluster: Kubectl) -> list[dict[str, Any]]:
    """The ClusterServiceVersions, without OLM's copies of them in other namespaces."""
    items = _list(cluster, "clusterserviceversions.operators.coreos.com")
    return [item for item in items if "olm.copiedFrom" not in (item["metadata"].get("labels") or {})]


def _is_own(version: dict[str, Any]) -> bool:
    metadata = version["metadata"]
    return (metadata["namespace"], metadata["name"]) == (NAMESPACE, "packageserver")


def _list(cluster: Kubectl, kind: str) -> list[dict[str, Any]]:
    try:
        return list(cluster.get(kind, "--all-namespaces")["items"])
    except KubectlError as error:
        if "the server doesn't have a resource type" in error.message:
            return []
        raise


def _where(item: dict[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _delete_versions(cluster: Kubectl, timeout: float) -> None:
    """Let OLM clean up after each version; where it does not run any more, drop its finalizer."""
    kind = "clusterserviceversions.operators.coreos.com"
    for item in _versions(cluster):
        _delete(cluster, kind, item["metadata"]["name"], "--namespace", item["metadata"]["namespace"], "--wait=false")
    begin = time.monotonic()
    while left := _versions(cluster):
        waited = time.monotonic() - begin
        if waited > timeout:
            raise SdkError(f"still there after {timeout:.0f} s: {', '.join(_where(item) for item in left)}")
        for item in left if waited > _CLEANUP else ():
            if item["metadata"].get("finalizers") == [_FINALIZER]:
                patch = '{"metadata":{"finalizers":null}}'
                where = ("--namespace", item["metadata"]["namespace"])
                cluster.kubectl("patch", kind, item["metadata"]["name"], *where, "--type=merge", "--patch", patch)
        time.sleep(0.3)


def _forget_groups(cluster: Kubectl) -> None:
    """Take the marks of OperatorGroups off the namespaces that they selected."""
    for item in cluster.get("namespaces")["items"]:
        marks = [key for key in item["metadata"].get("labels") or {} if key.startswith(_GROUP_LABEL)]
        if marks:
            cluster.kubectl("label", "namespace", item["metadata"]["name"], *(f"{mark}-" for mark in marks))
