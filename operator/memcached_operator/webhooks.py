"""What a person is told when they apply a resource, and what is filled in, beyond what the CRD itself does."""

from __future__ import annotations

from collections.abc import Callable

from kopf_sdk.runtime import Defaulting, Manifest, Reader, Validating, Webhook
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.kinds import SECRET
from memcached_operator.secrets import named_secrets

__all__ = ["filled_in", "warnings", "webhooks"]


def webhooks(reader: Callable[[], Reader[Memcached]]) -> list[Webhook]:
    """Return the webhooks of the operator; `reader` gives what the manager has in memory once it runs."""

    def validate(new: Memcached | None, old: Memcached | None) -> list[str]:
        del old
        if new is None:
            return []
        namespace = new.metadata.namespace
        return warnings(new, lambda name: reader().get(SECRET, name, namespace) is not None)

    return [Defaulting(Memcached, filled_in), Validating(Memcached, validate)]


def filled_in(manifest: Manifest) -> Manifest:
    """Return a new resource with the `size` that its autoscaler would give it at once.

    A cache that starts with one pod, to be scaled to three a minute later, moves two thirds of its keys. A size of 0
    switches the autoscaler off and is kept.
    """
    match manifest.get("spec"):  # the schema has not been checked yet
        case {"autoscaling": {"maxSize": int(high), **rest}, **spec}:
            low, size = rest.get("minSize", 1), spec.get("size", 1)
            if isinstance(low, int) and isinstance(size, int) and size and low <= high:
                return {**manifest, "spec": {**manifest["spec"], "size": max(low, min(size, high))}}
    return manifest


def warnings(memcached: Memcached, exists: Callable[[str], bool]) -> list[str]:
    """Return what is allowed and yet probably not meant; `exists` tells whether a Secret of the namespace is there."""
    spec = memcached.spec
    found = [
        f"Secret {name} does not exist in namespace {memcached.metadata.namespace}: pods wait until it does"
        for name in named_secrets(memcached)
        if not exists(name)
    ]
    if spec.auth and not spec.tls:
        found.append("spec.auth without spec.tls: passwords cross the network in clear text")
    return found
