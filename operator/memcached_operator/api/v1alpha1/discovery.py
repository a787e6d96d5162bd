"""The part of the specification that says how clients find the pods."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kopf_sdk.api import Format, Model

__all__ = ["Discovery", "Endpoint"]


class Endpoint(Model):
    """Answers `config get cluster` as Amazon ElastiCache does, on port 11211 of the Service `<name>-discovery`: clients
    with auto-discovery work unmodified."""

    enabled: bool = False
    """Run the endpoint, a small Deployment beside the cache."""

    replicas: Annotated[int, Field(ge=1, le=5), Format("int32")] = 1
    """Pods of the endpoint. Clients keep the list that they have while it is away."""


class Discovery(Model):
    """How clients find the pods, beside the ConfigMap `<name>-servers`."""

    endpoint: Endpoint = Field(default_factory=Endpoint)
    """Answers `config get cluster` as Amazon ElastiCache does."""
