"""The Secrets that resources name: who names which, and what is in them.

All Secrets are watched by metadata alone; content is fetched of those only that a resource names, once per version. So
the operator's memory holds nobody else's secrets.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from kopf_sdk.runtime import Reader, Request
from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.kinds import SECRET

__all__ = ["Secrets", "decoded", "named_secrets", "own_secret"]


def named_secrets(memcached: Memcached) -> list[str]:
    """Return the names of the Secrets that the resource needs from its user."""
    tls, auth = memcached.spec.tls, memcached.spec.auth
    names = [auth.secret_name if auth else None]
    names += [tls.secret_name, tls.operator_secret_name] if tls else []
    return [name for name in names if name]


class Secrets:
    """Shared by all reconciliations of one process."""

    def __init__(self) -> None:
        self._users: dict[str, set[str]] = defaultdict(set)
        self._named: dict[str, set[str]] = {}
        self._contents: dict[str, tuple[str, Mapping[str, bytes]]] = {}

    def note(self, key: str, namespace: str, names: Iterable[str]) -> None:
        """Remember which Secrets the resource `key` names now."""
        wanted = {f"{namespace}/{name}" for name in names}
        for gone in self._named.get(key, set()) - wanted:
            self._users[gone].discard(key)
            if not self._users[gone]:
                del self._users[gone]
                self._contents.pop(gone, None)
        for secret in wanted:
            self._users[secret].add(key)
        self._named[key] = wanted

    def gone(self, key: str) -> None:
        """Forget a resource, and what is in the Secrets that nobody else names."""
        self.note(key, "", ())
        del self._named[key]

    def to_keys(self, secret: Mapping[str, Any], cache: Reader[Any]) -> Iterable[str]:
        """Return the resources to reconcile when a Secret changes."""
        metadata = secret["metadata"]
        return tuple(self._users.get(f"{metadata['namespace']}/{metadata['name']}", ()))

    def missing(self, request: Request[Memcached]) -> list[str]:
        """Return the names of Secrets that the resource needs and that are not there."""
        return [name for name in named_secrets(request.resource) if request.get(SECRET, name) is None]

    async def content(self, request: Request[Memcached], name: str | None) -> Mapping[str, bytes] | None:
        """Return what a Secret holds, decoded; None when it is not there or no name is given."""
        metadata = (request.get(SECRET, name) or {}).get("metadata") if name else None
        if name is None or metadata is None:
            return None
        key, version = f"{metadata['namespace']}/{metadata['name']}", metadata["resourceVersion"]
        known = self._contents.get(key)
        if known is None or known[0] != version:
            live = await request.client.request("GET", SECRET.path(metadata["namespace"], name))
            known = self._contents[key] = (live["metadata"]["resourceVersion"], decoded(live))
        return known[1]


def own_secret(request: Request[Memcached], name: str) -> dict[str, bytes]:
    """Return the content of a Secret that the operator made for the resource; nothing when there is none.

    Also of one that is about to be adopted: pods log in with what it holds.
    """
    found = request.get(SECRET, name) or {"metadata": {}}
    metadata = found["metadata"]
    controller = next((ref["uid"] for ref in metadata.get("ownerReferences") or () if ref.get("controller")), None)
    labels = metadata.get("labels") or {}
    if controller not in (None, request.uid) or labels.get(naming.INSTANCE_LABEL) != request.name:
        return {}
    return decoded(found)


def decoded(secret: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the `data` of a Secret's manifest."""
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
