"""Resources and pods for tests, with everything that a test does not talk about left at its default."""

from __future__ import annotations

import datetime as dt
from typing import Any

from memcached_operator.api.v1alpha1 import Memcached


def memcached(name: str = "cache", *, namespace: str = "shop", generation: int = 1, **spec: Any) -> Memcached:
    return Memcached.model_validate(
        {
            "metadata": {"name": name, "namespace": namespace, "uid": "uid-1", "generation": generation},
            "spec": spec,
        }
    )


NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def pod(
    name: str,
    *,
    ready: bool = True,
    revision: str = "new",
    leaving: bool = False,
    ready_since: dt.datetime = NOW - dt.timedelta(days=1),
    silent_since: dt.datetime | None = None,
    running: bool = True,
    restarts: int = 0,
    in_touch: bool = True,
    warm: bool = False,
    image: str = "memcached:2",
    rest: str = "same",
    arguments: str = "same",
    memory: int = 64,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A pod; by default it is like `stateful_set`'s template, and its memcached started when it got ready.

    When it is not in touch, its node does not report: it is not the kubelet that calls it unready.
    """
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-of-{name}",
        "labels": {"controller-revision-hash": revision},
        "annotations": _marks(image, rest, arguments, memory) | (annotations or {}),
    }
    changed, serves = silent_since or ready_since, ready and not silent_since
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    amounts = {"limits": {"memory": f"{memory * 2}Mi"}}
    status: dict[str, Any] = {"name": "memcached", "resources": amounts, "restartCount": restarts}
    status["state"] = {"waiting": {}}
    if running:
        status["state"] = {"running": {"startedAt": ready_since.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    return {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": "memcached", "image": image, "resources": amounts}],
            "volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "68Mi"}}] if warm else [],
        },
        "status": {
            "containerStatuses": [status],
            "conditions": [
                {
                    "type": kind,
                    "status": "True" if holds else "False",
                    "lastTransitionTime": changed.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
                for kind, holds in (("ContainersReady", serves or not in_touch), ("Ready", serves))
            ],
        },
    }


def stateful_set(
    replicas: int,
    *,
    revision: str = "new",
    generation: int = 2,
    observed: int = 2,
    image: str = "memcached:2",
    rest: str = "same",
    arguments: str = "same",
    memory: int = 64,
) -> dict[str, Any]:
    container = {"name": "memcached", "image": image, "resources": {"limits": {"memory": f"{memory * 2}Mi"}}}
    return {
        "metadata": {"name": "cache", "generation": generation},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {}, "annotations": _marks(image, rest, arguments, memory)},
                "spec": {"containers": [container]},
            },
        },
        "status": {"updateRevision": revision, "observedGeneration": observed},
    }


def _marks(image: str, rest: str, arguments: str, memory: int) -> dict[str, str]:
    return {
        "cache.example.com/rest": rest,
        "cache.example.com/image": image,
        "cache.example.com/arguments": arguments,
        "cache.example.com/item-memory": str(memory),
    }
