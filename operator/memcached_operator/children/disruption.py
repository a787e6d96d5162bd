"""How many pods a drain of nodes may take at the same time."""

from __future__ import annotations

from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest

__all__ = ["pod_disruption_budget"]


def pod_disruption_budget(memcached: Memcached) -> Manifest | None:
    """Return the budget, or None for a single pod: there it would only block node drains."""
    wanted = memcached.spec.pod_disruption_budget
    if not wanted.enabled or memcached.spec.size < 2:
        return None
    return manifest(
        memcached,
        "policy/v1",
        "PodDisruptionBudget",
        memcached.metadata.name,
        spec={
            "maxUnavailable": wanted.max_unavailable,
            # A pod that does not serve has no items to protect and must not block its own eviction.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": naming.selector(memcached)},
        },
    )
