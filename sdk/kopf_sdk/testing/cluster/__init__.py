"""A Kubernetes cluster of plain processes in namespaces of their own: no container engine, no download, no trace left.

`Cluster` is the way in; `target_cluster` also takes the user's own cluster when that is asked for by name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kopf_sdk.testing.cluster.cluster import Cluster
    from kopf_sdk.testing.cluster.current import CurrentCluster, Which, target_cluster
    from kopf_sdk.testing.cluster.state import Size

__all__ = ["Cluster", "CurrentCluster", "Size", "Which", "target_cluster"]

# Imported when asked for: the keeper is a module of this package, stays for the life of a cluster and needs none of it.
_PLACES = {
    "Cluster": "cluster",
    "CurrentCluster": "current",
    "Size": "state",
    "Which": "current",
    "target_cluster": "current",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
