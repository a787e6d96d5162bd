"""What Kubernetes refuses is in the condition, in the words of what refused it, within seconds."""

from __future__ import annotations

from typing import Any

import pytest

from integration.operator.conftest import Kubernetes
from waiting import eventually


def degraded(kubernetes: Kubernetes, reason: str) -> str:
    """Wait until the resource is degraded for this reason; return the message."""

    def seen() -> dict[str, Any] | None:
        condition = kubernetes.condition("cache", "Degraded")
        return condition if condition.get("reason") == reason else None

    condition = eventually(seen)
    assert condition
    return str(condition["message"])


def test_a_quota_is_named_and_forgotten_when_it_is_raised(kubernetes: Kubernetes) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    kubernetes.cluster.api.create(kubernetes.path("resourcequotas"), quota)
    eventually(lambda: kubernetes.get("resourcequotas", "few").get("status", {}).get("hard"))
    kubernetes.apply("cache", size=2)
    assert "exceeded quota: few" in degraded(kubernetes, "QuotaExceeded")
    kubernetes.cluster.api.delete(kubernetes.path("resourcequotas", "few"))
    eventually(lambda: len(kubernetes.pods()) == 2)
    eventually(lambda: kubernetes.condition("cache", "Degraded")["status"] == "False")


def test_a_pod_security_standard_that_the_pod_breaks_is_named(kubernetes: Kubernetes) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubernetes.cluster.kubectl("label", "namespace", kubernetes.namespace, label)
    kubernetes.apply("cache")
    eventually(lambda: set(kubernetes.pods()) == {"cache-0"})
    # Nothing in a Memcached can break the standard; somebody's mutating policy can.
    limits = {"spec": {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]}, "metadata": {"name": "tiny"}}
    kubernetes.cluster.api.create(kubernetes.path("limitranges"), limits)
    kubernetes.apply("cache", size=2)
    assert "maximum memory usage per Container is 1Mi" in degraded(kubernetes, "PodsRefused")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}}, "nodeSelectorTerms"),
        ({"tolerations": [{"key": "a", "operator": "Sometimes"}]}, "Sometimes"),
        ({"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone"}]}, "maxSkew"),
        ({"affinity": {"nodeAffinities": {}}}, "nodeAffinities"),
        ({"podLabels": {"a b": "c"}}, "a b"),
    ],
)
def test_what_is_handed_on_is_judged_by_the_api_server(
    kubernetes: Kubernetes, spec: dict[str, Any], words: str
) -> None:
    kubernetes.apply("cache", **spec)
    assert words in degraded(kubernetes, "Rejected")

    def in_an_event() -> bool:
        events = kubernetes.cluster.get("events.events.k8s.io", "-n", kubernetes.namespace)["items"]
        return any(event["reason"] == "Rejected" and words in event["note"] for event in events)

    eventually(in_an_event)
    kubernetes.apply("cache")
    eventually(lambda: kubernetes.condition("cache", "Degraded")["status"] == "False")


def test_a_network_policy_peer_that_is_none_is_named_and_the_pods_are_there_all_the_same(
    kubernetes: Kubernetes,
) -> None:
    kubernetes.apply("cache", networkPolicy={"enabled": True, "clients": [{"ipBlock": {"cidr": "not-a-cidr"}}]})
    assert "not-a-cidr" in degraded(kubernetes, "Rejected")
    eventually(lambda: set(kubernetes.pods()) == {"cache-0"})
