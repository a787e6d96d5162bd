"""An operator that OLM installed, removed: its resources stay unless their CRDs are asked for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.olm.catalog import server_name
from kopf_sdk.olm.leftovers import File, files_of, is_left, versions_of
from kopf_sdk.olm.refusals import check_olm
from kopf_sdk.olm.status import MANAGED_BY, olm_status
from kopf_sdk.olm.subscriptions import find_subscription
from kopf_sdk.olm.view import KINDS, View
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, Progress

__all__ = ["Removed", "cleanup"]

_VERSIONS = "clusterserviceversions.operators.coreos.com"


@dataclass(frozen=True)
class Removed:
    """What was removed, and what is left.

    Attributes
    ----------
    left
        CRDs, with their resources.
    shared
        Cluster-scoped files of the bundle that another installed bundle has as well.
    """

    package: str
    namespace: str
    removed: tuple[str, ...]
    left: tuple[str, ...]
    shared: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def cleanup(
    cluster: Kubectl,
    package: str,
    *,
    namespace: str = "",
    delete_crds: bool = False,
    timeout: float = 120.0,
    progress: Progress = SILENT,
) -> Removed:
    """Remove Subscription, ClusterServiceVersion and catalog of a package, and the OperatorGroup that was made for it.

    Also the cluster-scoped files of its bundle, as ClusterRoles for people, which OLM leaves behind.

    Parameters
    ----------
    namespace
        Where it is installed; found by its Subscription when left out.
    delete_crds
        Also delete its CRDs, and with them every resource of their kinds in all namespaces.

    Raises
    ------
    SdkError
        There is nothing of this package.
    """
    found = olm_status(cluster)
    if found.state == "absent":
        check_olm(found)
    if not namespace:
        hint = "kubectl get subscriptions --all-namespaces lists them; --namespace removes what is left of one"
        namespace = find_subscription(cluster, package, hint=hint)["metadata"]["namespace"]
    view = View(namespace, cluster.get(",".join(KINDS), "--namespace", namespace)["items"])
    subscription = view.subscription(package)
    versions = _versions(view, package)
    catalog = f"{package}-catalog"
    if subscription is not None and _is_ours(view.find("CatalogSource", subscription["spec"]["source"])):
        catalog = subscription["spec"]["source"]
    owned = sorted({crd for version in versions for crd in _owned(version)})
    files, shared = _files(cluster, view, package, versions)
    removed: list[str] = []

    def delete(kind: str, name: str, *scope: str) -> None:
        out = cluster.kubectl(
            "delete", kind, name, *scope, "--ignore-not-found", f"--timeout={timeout:.0f}s", timeout=timeout + 10
        )
        if out.strip():
            removed.append(f"{kind.partition('.')[0]}/{name}")

    here = ("--namespace", namespace)
    with progress.step(f"{package} removed from {namespace}"):
        if subscription is not None:
            delete("subscriptions.operators.coreos.com", subscription["metadata"]["name"], *here)
        for crd in owned if delete_crds else ():  # while the operator can still take its finalizers off
            delete("customresourcedefinitions.apiextensions.k8s.io", crd)
        for version in versions:
            delete(_VERSIONS, version["metadata"]["name"], *here)
        for file in files:
            delete(file.resource, file.name)
        if _is_ours(view.find("CatalogSource", catalog)):
            delete("catalogsources.operators.coreos.com", catalog, *here)
        elif _is_ours(view.find("Deployment", server_name(catalog))):  # else they go with the CatalogSource
            delete("deployments.apps", server_name(catalog), *here)
            delete("services", server_name(catalog), *here)
            delete("configmaps", catalog, *here)
        others = [item for item in view.of("Subscription") if item is not subscription]
        for group in view.of("OperatorGroup") if not others else ():
            if _is_ours(group):
                delete("operatorgroups.operators.coreos.com", group["metadata"]["name"], *here)
    if not removed:
        raise SdkError(
            f"nothing of package {package} is in namespace {namespace}",
            hint="kubectl get subscriptions,csv --all-namespaces shows what OLM has installed",
        )
    left = () if delete_crds else tuple(owned)
    return Removed(package, namespace, tuple(removed), left, tuple(map(str, shared)))


def _versions(view: View, package: str) -> list[dict[str, Any]]:
    """The package's versions: those that the subscription names, and those that OLM labelled with the package."""
    label = f"operators.coreos.com/{package}.{view.namespace}"
    status = (view.subscription(package) or {}).get("status") or {}
    named = {status.get("installedCSV"), status.get("currentCSV")}
    return [
        dict(item)
        for item in view.of("ClusterServiceVersion")
        if item["metadata"]["name"] in named
        or label in (item["metadata"].get("labels") or {})
        or item["metadata"]["name"].startswith(f"{package}.v")
    ]


def _files(cluster: Kubectl, view: View, package: str, versions: list[dict[str, Any]]) -> tuple[list[File], list[File]]:
    """The cluster-scoped files of the package's bundles that are there: those to remove, and those to leave."""
    plans = cluster.get("installplans.operators.coreos.com", "--all-namespaces")["items"]
    installed = cluster.get(_VERSIONS, "--all-namespaces", "--selector=!olm.copiedFrom")["items"]
    names = versions_of(package, versions, view.of("InstallPlan"))
    files, others = files_of(plans, installed, view.namespace, names)
    left = [file for file in files if is_left(_find(cluster, file), view.namespace, names)]
    return [file for file in left if file not in others], [file for file in left if file in others]


def _find(cluster: Kubectl, file: File) -> dict[str, Any]:
    found = cluster.kubectl("get", file.resource, file.name, "--ignore-not-found", "--output=json")
    return dict(json.loads(found)) if found.strip() else {}


def _owned(version: dict[str, Any]) -> list[str]:
    owned = (version["spec"].get("customresourcedefinitions") or {}).get("owned") or ()
    return [str(crd["name"]) for crd in owned]


def _is_ours(item: Any) -> bool:
    return item is not None and MANAGED_BY.items() <= (item["metadata"].get("labels") or {}).items()
