"""Whether OLM is on a cluster, which one, and whether its parts work; also for an OLM that somebody else installed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kopf_sdk.olm.pods import waiting_for
from kopf_sdk.testing.cluster.kubectl import Kubectl

__all__ = ["CRDS", "MANAGED_BY", "PART_OF_OLM", "OlmStatus", "Part", "olm_status"]

CRDS = tuple(
    f"{plural}.operators.coreos.com"
    for plural in (
        "catalogsources",
        "clusterserviceversions",
        "installplans",
        "olmconfigs",
        "operatorconditions",
        "operatorgroups",
        "operators",
        "subscriptions",
    )
)
MANAGED_BY = {"app.kubernetes.io/managed-by": "kopf-sdk"}
PART_OF_OLM = {"app.kubernetes.io/part-of": "operator-lifecycle-manager"}
"""Label of what `uninstall` takes away, beside `MANAGED_BY`, which other things of ours have too."""
API_SERVICE = "v1.packages.operators.coreos.com"
_OPERATORS = ("olm-operator", "catalog-operator")


@dataclass(frozen=True)
class Part:
    """One object that OLM consists of."""

    kind: str
    name: str
    healthy: bool
    state: str
    """In the words of Kubernetes and OLM."""


@dataclass(frozen=True)
class OlmStatus:
    """What is there.

    Attributes
    ----------
    state
        `absent`, `healthy` or `degraded`.
    version
        As 0.38.0; empty when nothing tells.
    image
        What olm-operator runs.
    managed
        Whether `kopf-sdk olm install` made it.
    """

    state: str
    version: str = ""
    namespace: str = ""
    image: str = ""
    managed: bool = False
    parts: tuple[Part, ...] = ()

    @property
    def healthy(self) -> bool:
        return self.state == "healthy"

    @property
    def trouble(self) -> str:
        """What is not healthy, in one line."""
        return "; ".join(f"{part.kind} {part.name}: {part.state}" for part in self.parts if not part.healthy)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def olm_status(cluster: Kubectl) -> OlmStatus:
    """Look at the CRDs, the two operators, packageserver with its CSV, and the API that it serves.

    Raises
    ------
    KubectlError
        The API server does not answer.
    """
    cluster_wide = _items(cluster, *(f"crd/{name}" for name in CRDS), f"apiservice/{API_SERVICE}")
    crds = {o["metadata"]["name"]: o for o in cluster_wide if o["kind"] == "CustomResourceDefinition"}
    if not crds:
        return OlmStatus("absent")
    selector = f"app in ({', '.join((*_OPERATORS, 'packageserver'))})"
    running = _items(cluster, "deployments,pods", "--all-namespaces", "--selector", selector)
    deployments = {o["metadata"]["labels"]["app"]: o for o in running if o["kind"] == "Deployment"}
    namespace = next((o["metadata"]["namespace"] for o in deployments.values()), "")
    pods = [o for o in running if o["kind"] == "Pod" and o["metadata"]["namespace"] == namespace]
    known = namespace and "clusterserviceversions.operators.coreos.com" in crds
    csvs = _items(cluster, "csv", "packageserver", "--namespace", namespace) if known else []
    services = [o for o in cluster_wide if o["kind"] == "APIService"]
    parts = (
        *(_crd(name, crds.get(name)) for name in CRDS),
        *(_deployment(name, deployments.get(name), pods) for name in _OPERATORS),
        _packageserver(csvs, pods),
        _api_service(services),
    )
    healthy = all(part.healthy for part in parts)
    csv = csvs[0] if csvs else {}
    operator = deployments.get("olm-operator") or {}
    labels = operator.get("metadata", {}).get("labels", {})
    return OlmStatus(
        "healthy" if healthy else "degraded",
        version=str((csv.get("spec") or {}).get("version") or ""),
        namespace=namespace,
        image=operator["spec"]["template"]["spec"]["containers"][0]["image"] if operator else "",
        managed=MANAGED_BY.items() <= (labels or crds[min(crds)]["metadata"].get("labels", {})).items(),
        parts=parts,
    )


def _items(cluster: Kubectl, *arguments: str) -> list[dict[str, Any]]:
    found = cluster.kubectl("get", *arguments, "--ignore-not-found", "--output", "json")
    if not found.strip():
        return []
    answer = json.loads(found)
    return list(answer["items"]) if "items" in answer else [answer]


def _conditions(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {c["type"]: c for c in (found.get("status") or {}).get("conditions") or ()}


def _crd(name: str, found: Mapping[str, Any] | None) -> Part:
    if found is None:
        return Part("CustomResourceDefinition", name, False, "missing")
    established = _conditions(found).get("Established", {}).get("status") == "True"
    return Part("CustomResourceDefinition", name, established, "Established" if established else "not established")


def _deployment(name: str, found: Mapping[str, Any] | None, pods: list[dict[str, Any]]) -> Part:
    if found is None:
        return Part("Deployment", name, False, "missing")
    conditions = _conditions(found)
    available = conditions.get("Available", {}).get("status") == "True"
    current = (found.get("status") or {}).get("observedGeneration") == found["metadata"]["generation"]
    if available and current:
        return Part("Deployment", name, True, "Available")
    return Part("Deployment", name, False, _why(name, pods) or conditions.get("Available", {}).get("message", "starts"))


def _packageserver(csvs: list[dict[str, Any]], pods: list[dict[str, Any]]) -> Part:
    if not csvs:
        return Part("ClusterServiceVersion", "packageserver", False, "missing")
    status = csvs[0].get("status") or {}
    phase = str(status.get("phase") or "not seen by OLM yet")
    if phase == "Succeeded":
        return Part("ClusterServiceVersion", "packageserver", True, phase)
    why = _why("packageserver", pods) or status.get("message") or ""
    return Part("ClusterServiceVersion", "packageserver", False, f"{phase}: {why}" if why else phase)


def _api_service(services: list[dict[str, Any]]) -> Part:
    if not services:
        return Part("APIService", API_SERVICE, False, "missing")
    condition = _conditions(services[0]).get("Available") or {}
    available = condition.get("status") == "True"
    state = "Available" if available else str(condition.get("message") or "not available")
    return Part("APIService", API_SERVICE, available, state)


def _why(app: str, pods: list[dict[str, Any]]) -> str:
    return next(iter(_waiting(app, pods)), "")


def _waiting(app: str, pods: list[dict[str, Any]]) -> Iterator[str]:
    for pod in pods:
        if pod["metadata"].get("labels", {}).get("app") == app and (why := waiting_for(pod)):
            yield why
