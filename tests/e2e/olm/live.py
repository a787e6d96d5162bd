"""What is on the cluster, in the form in which the bundle builder compares what OLM installs with what Helm installs.

The rules are those of `kopf-sdk bundle diff`; only that one side, or both, is not computed but read from the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.diff import compare_worlds
from kopf_sdk.bundle.diff.world import INSTALLED_IN, World
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.objects import Object
from kopf_sdk.testing.cluster import Cluster

NAMESPACED = "deployments,serviceaccounts,services,configmaps,secrets,roles,rolebindings,poddisruptionbudgets"
CLUSTER_WIDE = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,mutatingwebhookconfigurations"
OLM_LABELS = ("olm.", "operators.coreos.com/", "app.kubernetes.io/managed-by")
"""By prefix: marks of OLM, and Helm's, which the builder takes away."""
SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
    "generateName",
)
NOISE = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration", "meta.helm.sh/")


def with_defaults(cluster: Cluster, objects: Iterable[Object]) -> list[Object]:
    """Rendered objects as the API server would keep them, were they created now (they must not be there)."""
    items = [dict(obj.data) for obj in objects]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    options = ("--dry-run=server", "--validate=ignore", "--output=json", "--filename=-")
    return [Object(plain(item)) for item in _stream(cluster.kubectl("create", *options, input=text))]


def as_installed(cluster: Cluster, objects: Iterable[Object]) -> list[Object]:
    """Rendered objects as they are on the cluster."""
    return [Object(plain(_get(cluster, obj))) for obj in objects]


def made_by_olm(cluster: Cluster, namespace: str, bundle: Bundle) -> list[dict[str, Any]]:
    """Everything that is there because of a bundle; its namespace is called as in the expansion of a bundle."""
    found = [item for item in _items(cluster, NAMESPACED, "--namespace", namespace) if _owned(item, bundle.name)]
    found += _items(cluster, "rolebindings", "--namespace=kube-system", f"--selector=olm.owner={bundle.name}")
    found += _items(cluster, CLUSTER_WIDE, f"--selector=olm.owner={bundle.name}")
    files = [obj for obj in bundle.manifests if obj.kind in ("ClusterRole", "ClusterRoleBinding")]
    found += [_get(cluster, Object(obj.data)) for obj in (*files, *bundle.crds)]
    return [_moved(plain(item), namespace, INSTALLED_IN) for item in found]


def unexplained(
    conversion: Conversion, bundle: Bundle, helm: list[Object], olm: list[dict[str, Any]]
) -> tuple[list[str], list[Notice]]:
    """The differences that nothing explains, and all the others."""
    world = World.of(conversion, bundle, "v0", olm)
    notices = compare_worlds(World(conversion, bundle, "v0", helm, world.cluster, world.namespace))
    return [str(notice) for notice in notices if notice.level is Level.ERROR], notices


def meant(conversion: Conversion, bundle: Bundle) -> list[Object]:
    """The objects of the rendering that are meant to be in the bundle."""
    return World.of(conversion, bundle, "v0", []).rendered


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """Without what the API server, OLM and Helm write into every object."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in SERVER}
    for field, marks in (("labels", OLM_LABELS), ("annotations", NOISE)):
        kept = {key: value for key, value in (metadata.get(field) or {}).items() if not key.startswith(marks)}
        metadata |= {field: kept}
    result = {key: value for key, value in item.items() if key not in ("status", "metadata")} | {"metadata": metadata}
    if item["kind"] == "Service":
        given = ("clusterIP", "clusterIPs")
        result["spec"] = {key: value for key, value in item["spec"].items() if key not in given}
    return result


def _moved(value: Any, before: str, after: str) -> Any:
    """Replace a namespace wherever one is named."""
    if isinstance(value, dict):
        return {
            key: after if key == "namespace" and item == before else _moved(item, before, after)
            for key, item in value.items()
        }
    return [_moved(item, before, after) for item in value] if isinstance(value, list) else value


def _owned(item: dict[str, Any], csv: str) -> bool:
    """Whether OLM made an object for this CSV, or for the OperatorCondition of the same name."""
    metadata = item["metadata"]
    owners = {reference["name"] for reference in metadata.get("ownerReferences") or ()}
    return csv in owners or (metadata.get("labels") or {}).get("olm.owner") == csv


def _stream(text: str) -> Iterator[dict[str, Any]]:
    """Decode the objects that kubectl prints one after the other."""
    decoder, position = json.JSONDecoder(), 0
    while text[position:].strip():
        item, position = decoder.raw_decode(text, position)
        position += len(text[position:]) - len(text[position:].lstrip())
        yield item


def _get(cluster: Cluster, obj: Object) -> dict[str, Any]:
    where = ("--namespace", obj.namespace) if obj.namespace else ()
    kind = f"{obj.kind}.{obj.group}" if obj.group else obj.kind
    return dict(cluster.get(kind, obj.name, *where))


def _items(cluster: Cluster, *arguments: str) -> list[dict[str, Any]]:
    return list(cluster.get(*arguments)["items"])
