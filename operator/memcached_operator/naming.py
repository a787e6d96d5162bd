"""Names and labels. What is in a selector here can never change: selectors of existing objects are immutable."""

from __future__ import annotations

from memcached_operator.api.v1alpha1 import Memcached

__all__ = [
    "INSTANCE_LABEL",
    "MANAGED_BY",
    "MANAGED_BY_LABEL",
    "arguments_config_map",
    "auth_secret",
    "binding_secret",
    "discovery",
    "discovery_labels",
    "is_pod",
    "labels",
    "login_secret",
    "nodes_service",
    "pod_names",
    "selector",
    "selector_string",
    "servers",
    "servers_config_map",
]

INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "memcached-operator"


def selector(memcached: Memcached) -> dict[str, str]:
    """Return the labels that tell this resource's pods from all others of the namespace, also from other charts'."""
    return {
        "app.kubernetes.io/name": "memcached",
        INSTANCE_LABEL: memcached.metadata.name,
        MANAGED_BY_LABEL: MANAGED_BY,
    }


def selector_string(memcached: Memcached) -> str:
    """Return the selector as autoscalers read it from the scale subresource."""
    return ",".join(f"{key}={value}" for key, value in selector(memcached).items())


def labels(memcached: Memcached) -> dict[str, str]:
    """Return the labels of every child."""
    return {**selector(memcached), "app.kubernetes.io/component": "cache"}


def nodes_service(memcached: Memcached) -> str:
    """Return the name of the headless Service, the domain of the pods' stable host names."""
    return f"{memcached.metadata.name}-nodes"


def arguments_config_map(memcached: Memcached) -> str:
    """Return the name of the ConfigMap with memcached's arguments and the scripts that start and probe it."""
    return f"{memcached.metadata.name}-config"


def servers_config_map(memcached: Memcached) -> str:
    """Return the name of the ConfigMap with the list that clients hash over."""
    return f"{memcached.metadata.name}-servers"


def login_secret(memcached: Memcached) -> str:
    """Return the name of the Secret with the operator's own user."""
    return f"{memcached.metadata.name}-operator"


def auth_secret(memcached: Memcached) -> str:
    """Return the name of the Secret with memcached's auth file."""
    return f"{memcached.metadata.name}-auth"


def binding_secret(memcached: Memcached) -> str:
    """Return the name of the Secret that applications bind to."""
    return f"{memcached.metadata.name}-binding"


def discovery(memcached: Memcached) -> str:
    """Return the name of everything that belongs to the discovery endpoint."""
    return f"{memcached.metadata.name}-discovery"


def discovery_labels(memcached: Memcached) -> dict[str, str]:
    """Return the labels and the selector of the discovery endpoint, whose pods are none of the cache's."""
    return selector(memcached) | {
        "app.kubernetes.io/name": "memcached-discovery",
        "app.kubernetes.io/component": "discovery",
    }


def pod_names(memcached: Memcached) -> list[str]:
    """Return the names of the wanted pods, in the order that clients hash over."""
    return [f"{memcached.metadata.name}-{ordinal}" for ordinal in range(memcached.spec.size)]


def is_pod(memcached: Memcached, name: str) -> bool:
    """Tell whether a pod of this name is the StatefulSet's, and not the copy that somebody debugs, labels and all."""
    return name.startswith(f"{memcached.metadata.name}-") and name[len(memcached.metadata.name) + 1 :].isdecimal()


def servers(memcached: Memcached) -> list[str]:
    """Return what clients hash over: host and port of every wanted pod, without the cluster's domain."""
    domain = f"{nodes_service(memcached)}.{memcached.metadata.namespace}.svc"
    return [f"{name}.{domain}:{memcached.spec.container_port}" for name in pod_names(memcached)]
