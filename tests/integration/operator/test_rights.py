"""The operator has the rights that the chart grants: none that it lacks, none that it does not use."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml

from integration.operator.conftest import RESOURCE, Account, Kubernetes
from rights import granted, refused, used
from waiting import eventually

EVERYTHING: dict[str, Any] = {
    "size": 2,
    "auth": {"secretName": "users"},
    "autoscaling": {"minSize": 2, "maxSize": 3},
    "discovery": {"endpoint": {"enabled": True}},
    "metrics": {"enabled": True},
    "networkPolicy": {"enabled": True},
}
OWNED = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "Service": "v1",
    "StatefulSet": "apps/v1",
    "Deployment": "apps/v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
}
NAMES = {"ConfigMap": "taken-servers", "Secret": "taken-binding", "Deployment": "taken-discovery"}
TEMPLATE = {
    "selector": {"matchLabels": {"app": "x"}},
    "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}},
}
SPECS: dict[str, dict[str, Any]] = {
    "Service": {"ports": [{"port": 80}]},
    "StatefulSet": TEMPLATE | {"replicas": 0, "serviceName": "x"},
    "Deployment": TEMPLATE | {"replicas": 0},
    "NetworkPolicy": {"podSelector": {}},
    "PodDisruptionBudget": {"maxUnavailable": 1},
    "HorizontalPodAutoscaler": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
        "maxReplicas": 2,
    },
}
NOT_HERE = {
    ("", "pods", "create"): "tries what a pod shall start with: tests/e2e/operator/test_rights.py",
    ("", "pods/resize", "patch"): "takes a kubelet: tests/e2e/operator/test_rights.py",
    ("events.k8s.io", "events", "patch"): "counts what was repeated, after a minute: tests/unit/runtime/test_events.py",
}


def manifest(kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    spec = {"spec": SPECS[kind]} if kind in SPECS else {}
    return {"apiVersion": OWNED[kind], "kind": kind, "metadata": {"name": name, **metadata}, **spec}


def apply(kubernetes: Kubernetes, *manifests: dict[str, Any]) -> None:
    kubernetes.cluster.kubectl("apply", "-n", kubernetes.namespace, "-f", "-", input=yaml.safe_dump_all(manifests))


def live(kubernetes: Kubernetes) -> dict[str, str]:
    """Return the resource version of every object of an owned kind."""
    kinds = ",".join("networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s" for kind in OWNED)
    items = kubernetes.cluster.get(kinds, "-n", kubernetes.namespace)["items"]
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}


def name_what_others_hold(kubernetes: Kubernetes) -> None:
    """Have every name of a resource taken by somebody else's object: all are left alone, and told."""
    taken = {kind: NAMES.get(kind, "taken") for kind in OWNED}
    apply(kubernetes, *(manifest(kind, name) for kind, name in taken.items()))
    before = live(kubernetes)
    kubernetes.apply("taken", **(EVERYTHING | {"auth": None}))
    eventually(lambda: kubernetes.condition("taken", "Degraded").get("reason") == "ForeignObject")

    def message() -> str:
        return str(kubernetes.condition("taken", "Degraded").get("message"))

    # Kinds of others are found a moment after the operator's start.
    eventually(lambda: all(f"{kind} {name}" in message() for kind, name in taken.items()))
    assert "not made by this operator" in message()
    after = live(kubernetes)
    assert {name: version for name, version in after.items() if name in before} == before, "it was changed"
    kubernetes.cluster.kubectl("delete", f"{RESOURCE}/taken", "-n", kubernetes.namespace)


def test_every_right_is_used_and_none_is_missing(kubernetes: Kubernetes, operator_account: Account) -> None:
    """Every kind is made, changed, found in others' hands and deleted; then the audit log is compared."""
    name_what_others_hold(kubernetes)
    apply(kubernetes, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "users"}, "stringData": {"a": "b"}})
    kubernetes.apply("cache", **EVERYTHING)
    eventually(lambda: len(kubernetes.pods()) >= 2)
    kubernetes.make_ready("cache-0", "cache-1")
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "UpToDate")
    # Pods: labels in place, then new ones. The API server's refusal becomes an event.
    kubernetes.apply("cache", **EVERYTHING, podLabels={"team": "a"})
    eventually(lambda: kubernetes.pods()["cache-0"]["metadata"]["labels"].get("team") == "a")
    old = kubernetes.uid("cache-1")
    kubernetes.apply("cache", **EVERYTHING, podLabels={"team": "a"}, threads=2)
    eventually(lambda: kubernetes.replaced("cache-1", old))
    kubernetes.apply("cache", **EVERYTHING, podLabels={"a b": "c"})
    eventually(lambda: kubernetes.condition("cache", "Degraded")["reason"] == "Rejected")
    # What the resource does not ask for any more goes; so does what an older operator may have left of any kind.
    owner = kubernetes.memcached("cache")["metadata"]["uid"]
    reference = {"apiVersion": "cache.example.com/v1alpha1", "kind": "Memcached", "name": "cache", "uid": owner}
    labels = {"app.kubernetes.io/managed-by": "memcached-operator", "app.kubernetes.io/instance": "cache"}
    owned = {"labels": labels, "ownerReferences": [reference | {"controller": True}]}
    apply(kubernetes, *(manifest(kind, "cache-left-over", **owned) for kind in OWNED))
    kubernetes.apply("cache")
    eventually(lambda: not any("left-over" in name or "cache-discovery" in name for name in live(kubernetes)))
    read_metrics(kubernetes, operator_account)

    log, user = kubernetes.cluster.audit_log, operator_account.user
    declared = operator_account.rules
    rights = granted([*declared.manager, *declared.leader_election, *declared.metrics_auth])
    assert refused(log, user) == []
    assert rights - used(log, user) - set(NOT_HERE) == set(), "granted and never used"


def read_metrics(kubernetes: Kubernetes, account: Account) -> None:
    """Have the operator find out who somebody is, and what they may."""
    kubernetes.cluster.kubectl("create", "serviceaccount", "reader", "-n", kubernetes.namespace)
    token = kubernetes.cluster.kubectl("create", "token", "reader", "-n", kubernetes.namespace).strip()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://{account.metrics}/metrics", headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, context=context, timeout=60)
