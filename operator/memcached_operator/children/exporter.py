"""The exporter: a container beside memcached, and what tells Prometheus about it."""

from __future__ import annotations

from typing import Any

from memcached_operator import listeners, naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.operand import Operand
from memcached_operator.paths import LOGIN_PATH

__all__ = ["CONTAINER", "container", "service_monitor"]

CONTAINER = "exporter"
_RESOURCES = {"requests": {"cpu": "5m", "memory": "40Mi"}, "limits": {"memory": "64Mi"}}


def container(memcached: Memcached, operand: Operand) -> dict[str, Any]:
    """Return the exporter's container. It asks memcached in plain text over the pod's loopback, whatever clients do.

    It has no readiness probe: whether metrics are served says nothing about whether clients are.
    """
    login = memcached.spec.auth is not None
    return {
        "name": CONTAINER,
        "image": operand.operator_image,
        "command": ["python3", "-m", "memcached_operator.exporter"],
        "args": [
            f"--port={memcached.spec.metrics.port}",
            f"--memcached-port={listeners.local_port(memcached)}",
            *([f"--login-directory={LOGIN_PATH}"] if login else []),
        ],
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in listeners.metrics_ports(memcached).items()
        ],
        "resources": _resources(memcached),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "login", "mountPath": LOGIN_PATH, "readOnly": True}] if login else [],
    }


def service_monitor(memcached: Memcached) -> Manifest | None:
    """Return the ServiceMonitor: every pod through the headless Service, the only one that has the exporter's port."""
    metrics = memcached.spec.metrics
    if not metrics.enabled or not metrics.service_monitor.enabled:
        return None
    monitor = manifest(
        memcached,
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        memcached.metadata.name,
        spec={
            "jobLabel": "app.kubernetes.io/name",
            "selector": {"matchLabels": naming.selector(memcached)},
            "endpoints": [{"port": listeners.METRICS, "interval": metrics.service_monitor.interval}],
        },
    )
    monitor["metadata"]["labels"] = metrics.service_monitor.labels | monitor["metadata"]["labels"]
    return monitor


def _resources(memcached: Memcached) -> dict[str, dict[str, str]]:
    given = memcached.spec.metrics.resources
    if given is None:
        return _RESOURCES
    return {
        "requests": _RESOURCES["requests"] | {name: str(amount) for name, amount in (given.requests or {}).items()},
        "limits": _RESOURCES["limits"] | {name: str(amount) for name, amount in (given.limits or {}).items()},
    }
