"""The autoscaler. It writes `spec.size` through the scale subresource, and nobody else does."""

from __future__ import annotations

from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.template import CONTAINER

__all__ = ["horizontal_pod_autoscaler"]

_SLOWLY = {"stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]}
"""A pod that goes takes its items along, and 1/N of all keys move."""


def horizontal_pod_autoscaler(memcached: Memcached) -> Manifest | None:
    """Return the HorizontalPodAutoscaler for memcached's own CPU (not the exporter's), or None without autoscaling."""
    wanted = memcached.spec.autoscaling
    if wanted is None:
        return None
    target = {"type": "Utilization", "averageUtilization": wanted.target_cpu_percent}
    cpu = {"name": "cpu", "container": CONTAINER, "target": target}
    return manifest(
        memcached,
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        memcached.metadata.name,
        spec={
            "scaleTargetRef": {
                "apiVersion": memcached.definition.api_version,
                "kind": memcached.definition.kind,
                "name": memcached.metadata.name,
            },
            "minReplicas": wanted.min_size,
            "maxReplicas": wanted.max_size,
            "metrics": [{"type": "ContainerResource", "containerResource": cpu}],
            "behavior": {"scaleDown": _SLOWLY},
        },
    )
