"""Two ways in: stable names per pod for clients that hash, one address for everything else."""

from __future__ import annotations

from memcached_operator import listeners, naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest

__all__ = ["client_service", "nodes_service"]


def nodes_service(memcached: Memcached) -> Manifest:
    """Return the headless Service behind `<pod>.<name>-nodes`.

    It publishes pods that are not ready too: a client that hashes over the list must not see it shrink while a pod
    starts, or every key moves. The exporters are scraped through it, one by one.
    """
    return manifest(
        memcached,
        "v1",
        "Service",
        naming.nodes_service(memcached),
        spec={
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": naming.selector(memcached),
            "ports": listeners.service_ports(listeners.container_ports(memcached) | listeners.metrics_ports(memcached)),
        },
    )


def client_service(memcached: Memcached) -> Manifest:
    """Return the Service that balances over ready pods, for health checks, proxies and single-pod caches."""
    service = manifest(
        memcached,
        "v1",
        "Service",
        memcached.metadata.name,
        spec={
            "type": memcached.spec.service.type,
            "selector": naming.selector(memcached),
            "ports": listeners.service_ports(listeners.container_ports(memcached)),
        },
    )
    if memcached.spec.service.annotations:
        service["metadata"]["annotations"] = memcached.spec.service.annotations
    return service
