"""Who may open connections to the pods."""

from __future__ import annotations

from collections.abc import Iterable

from memcached_operator import listeners, naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.handover import spare
from memcached_operator.operand import Operand

__all__ = ["network_policy"]


def network_policy(memcached: Memcached, operand: Operand) -> Manifest | None:
    """Return the policy: the clients that the resource names, else all pods of its namespace.

    Pods open nothing, but to spare pods where there may be some.

    Metrics are open to those that the resource names for it, else to all pods: Prometheus lives in another namespace.

    The operator itself is let in: it asks the pods what they run.
    """
    wanted = memcached.spec.network_policy
    if not wanted.enabled:
        return None
    peers = list(wanted.clients or [{"podSelector": {}}])
    if operand.operator_namespace:
        peers.append(
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operand.operator_namespace}},
                "podSelector": {"matchLabels": {"app.kubernetes.io/component": "controller-manager"}},
            }
        )
    egress = []
    if memcached.spec.warm_restart.handover:
        spares = {"podSelector": {"matchLabels": spare.labels(memcached)}}
        peers.append(spares)
        egress.append({"to": [spares], "ports": [{"port": spare.GREETING_PORT, "protocol": "TCP"}]})
    ingress = [{"from": peers, "ports": _ports(listeners.container_ports(memcached))}]
    if memcached.spec.metrics.enabled:
        scrapers = wanted.metrics_clients or [{"namespaceSelector": {}}]
        ingress.append({"from": scrapers, "ports": _ports(listeners.metrics_ports(memcached))})
    return manifest(
        memcached,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        memcached.metadata.name,
        spec={
            "podSelector": {"matchLabels": naming.selector(memcached)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            **({"egress": egress} if egress else {}),
        },
    )


def _ports(ports: Iterable[str]) -> list[dict[str, str]]:
    return [{"port": name, "protocol": "TCP"} for name in ports]
