"""Kinds of objects and where the API server serves them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.api import CustomResource, Definition

__all__ = ["Kind", "Manifest", "object_key"]

Manifest = dict[str, Any]
"""An object as the API server speaks it: decoded JSON."""


@dataclass(frozen=True)
class Kind:
    """A kind in one version of its API.

    Two kinds are equal when their `api_version` and `kind` are; the rest is how to reach them.
    """

    api_version: str
    """Group and version as in manifests: `apps/v1`, or `v1` for the core group."""
    kind: str
    plural: str = field(default="", compare=False)
    """The name in URLs; derived from `kind` when empty, which is right for all but the irregular (`Endpoints`)."""
    namespaced: bool = field(default=True, compare=False)
    optional: bool = field(default=False, compare=False)
    """Whether a cluster may lack this kind. Its appearance is noticed within a minute."""

    def __post_init__(self) -> None:
        if not self.plural:
            object.__setattr__(self, "plural", Definition(group="", version="", kind=self.kind).plural)

    @classmethod
    def of(cls, resource: type[CustomResource]) -> Kind:
        """Return the kind of a custom resource type."""
        definition = resource.definition
        return cls(
            definition.api_version, definition.kind, definition.plural, namespaced=definition.scope == "Namespaced"
        )

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Kind:
        """Return the kind that a manifest names (to compare with, not to build URLs from)."""
        return cls(manifest["apiVersion"], manifest["kind"])

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """The version inside the group."""
        return self.api_version.rpartition("/")[2]

    @property
    def base(self) -> str:
        """The path of the API group's version: also its discovery document."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """Return the URL path of an object, or of the whole collection without a name."""
        parts = [self.base]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def object_key(namespace: str | None, name: str) -> str:
    """Return the key by which queues know an object: `namespace/name`, or the name of a cluster-scoped one."""
    return f"{namespace}/{name}" if namespace else name
