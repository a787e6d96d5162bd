"""What the children of a resource depend on beside its specification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memcached_operator.credentials import Credentials

__all__ = ["Surroundings"]


@dataclass(frozen=True)
class Surroundings:
    """What was found for one resource."""

    credentials: Credentials | None = None
    """Everybody who may log in; None without `spec.auth`, and as long as the users' Secret never was right."""
    certificate_authority: str = ""
    """The CA that signed memcached's certificate, as PEM; empty without TLS, and where the Secret has none."""
    stateful_set: dict[str, Any] | None = None
    """The StatefulSet as it is now."""
    servers: dict[str, Any] | None = None
    """The ConfigMap with the list of servers as it is now."""
    arguments: dict[str, Any] | None = None
    """The ConfigMap with the pods' arguments as it is now."""
    arguments_in_use: frozenset[str] = frozenset()
    """Digests of the arguments that pods have."""
    handovers: Mapping[str, str] = field(default_factory=dict)
    """By pod, where the spare pod listens that holds its predecessor's items: address, port, a word to be known by."""
    openshift: bool = False
    """Whether OpenShift chooses the user that pods run as."""
