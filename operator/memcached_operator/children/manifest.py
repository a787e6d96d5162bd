"""The frame of a child's manifest. Namespace and owner reference are the runtime's to add."""

from __future__ import annotations

from typing import Any, TypeAlias

from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.naming import labels

__all__ = ["Manifest", "manifest"]

Manifest: TypeAlias = dict[str, Any]


def manifest(memcached: Memcached, api_version: str, kind: str, name: str, **content: Any) -> Manifest:
    """Return a manifest with the labels that every child carries."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "labels": labels(memcached)},
        **content,
    }
