"""Whose an object is: orphans come back to their resource, others are left alone; what is owned goes with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest

from integration.operator.conftest import RESOURCE, Kubernetes
from waiting import eventually

KINDS = "statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,deployments,hpa"
SPEC = {
    "size": 2,
    "networkPolicy": {"enabled": True},
    "discovery": {"endpoint": {"enabled": True}},
    "autoscaling": {"minSize": 2, "maxSize": 3},
}
LABELS = {"app.kubernetes.io/managed-by": "memcached-operator", "app.kubernetes.io/instance": "cache"}


def children(kubernetes: Kubernetes) -> dict[str, dict[str, Any]]:
    """Return everything of the resource `cache`, by kind and name."""
    items = kubernetes.cluster.get(KINDS, "--namespace", kubernetes.namespace)["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]
        for item in items
        if item["metadata"]["name"].startswith("cache")
    }


def uids(kubernetes: Kubernetes) -> dict[str, str]:
    found = children(kubernetes) | {name: pod["metadata"] for name, pod in kubernetes.pods().items()}
    return {name: metadata["uid"] for name, metadata in found.items() if "discovery-" not in name}


def complete(kubernetes: Kubernetes) -> bool:
    """Tell whether the resource has all of its children, and its pods."""
    wanted = {"StatefulSet/cache", "Service/cache", "Service/cache-nodes", "ConfigMap/cache-servers"}
    wanted |= {"NetworkPolicy/cache", "PodDisruptionBudget/cache", "HorizontalPodAutoscaler/cache"}
    wanted |= {"Deployment/cache-discovery", "Secret/cache-binding", "cache-0", "cache-1"}
    return wanted <= set(uids(kubernetes))


def test_orphans_are_adopted_with_their_pods(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", **SPEC)
    eventually(lambda: complete(kubernetes))
    before = uids(kubernetes)
    kubernetes.cluster.kubectl("delete", f"{RESOURCE}/cache", "--cascade=orphan", "-n", kubernetes.namespace)
    eventually(lambda: all("ownerReferences" not in metadata for metadata in children(kubernetes).values()))
    assert uids(kubernetes) == before
    kubernetes.apply("cache", **SPEC)
    owner = eventually(lambda: kubernetes.memcached("cache"))["metadata"]["uid"]
    eventually(
        lambda: all(
            [reference["uid"] for reference in metadata.get("ownerReferences", ())] == [owner]
            for metadata in children(kubernetes).values()
        ),
    )
    assert uids(kubernetes) == before
    assert kubernetes.condition("cache", "Degraded")["status"] == "False"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({"labels": LABELS | {"app.kubernetes.io/instance": "other"}}, "not made by this operator"),
        ({"labels": {"app": "cache"}}, "not made by this operator"),
        (
            {
                "labels": LABELS,
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": "UID", "controller": True}
                ],
            },
            "it is controlled by ConfigMap boss",
        ),
    ],
)
def test_what_is_not_the_resources_is_left_alone_and_named(
    kubernetes: Kubernetes, metadata: dict[str, Any], why: str
) -> None:
    boss = {"metadata": {"name": "boss"}}
    kubernetes.cluster.api.create(kubernetes.path("configmaps"), boss)
    for reference in metadata.get("ownerReferences", ()):
        reference["uid"] = kubernetes.get("configmaps", "boss")["metadata"]["uid"]
    foreign = {"metadata": {"name": "cache-servers", **metadata}, "data": {"mine": "yes"}}
    kubernetes.cluster.api.create(kubernetes.path("configmaps"), foreign)
    kubernetes.apply("cache")
    condition = eventually(lambda: (c := kubernetes.condition("cache", "Degraded")).get("status") == "True" and c)
    assert condition
    assert condition["reason"] == "ForeignObject"
    assert "ConfigMap cache-servers" in condition["message"]
    assert why in condition["message"]
    eventually(lambda: set(kubernetes.pods()) == {"cache-0"})
    assert kubernetes.get("configmaps", "cache-servers")["data"] == {"mine": "yes"}
    # Its owner takes it away: the resource gets its own.
    kubernetes.cluster.api.delete(kubernetes.path("configmaps", "cache-servers"))
    eventually(lambda: "servers" in kubernetes.get("configmaps", "cache-servers").get("data", {}))
    eventually(lambda: kubernetes.condition("cache", "Degraded")["status"] == "False")


def test_nothing_is_left_when_the_resource_is_deleted_while_the_operator_stands_still(
    kubernetes: Kubernetes, operator: subprocess.Popen[bytes]
) -> None:
    kubernetes.apply("cache", **SPEC)
    eventually(lambda: complete(kubernetes))
    os.kill(operator.pid, signal.SIGSTOP)
    try:
        kubernetes.cluster.kubectl("delete", f"{RESOURCE}/cache", "-n", kubernetes.namespace, "--timeout=120s")
        eventually(lambda: not children(kubernetes) and not kubernetes.pods())
    finally:
        os.kill(operator.pid, signal.SIGCONT)
