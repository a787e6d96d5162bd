"""Has the kubelet bring changed servers to the discovery endpoint's pods now, and not within a minute or so.

It looks at a pod's volumes whenever the pod changes: an annotation is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kopf_sdk.runtime import Request
from memcached_operator.api.v1alpha1 import Memcached

__all__ = ["hurry"]

_SERVERS = "cache.example.com/servers"
"""Annotation of a discovery pod: the version of the servers' ConfigMap for which it was touched."""


async def hurry(request: Request[Memcached], servers: dict[str, Any] | None, pods: Sequence[dict[str, Any]]) -> None:
    """Touch every pod that was not yet touched for this version of the servers' ConfigMap."""
    version = servers and servers["metadata"]["resourceVersion"]
    for pod in pods:
        metadata = pod["metadata"]
        known = (metadata.get("annotations") or {}).get(_SERVERS)
        if version and known != version and "deletionTimestamp" not in metadata:
            await request.patch(pod, {"metadata": {"annotations": {_SERVERS: version}}})
