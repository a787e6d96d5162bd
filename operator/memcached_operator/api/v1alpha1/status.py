"""What the operator reports of a Memcached."""

from __future__ import annotations

from typing import Annotated

from kopf_sdk.api import Condition, Format, ListMap, Model

__all__ = ["Binding", "MemcachedStatus"]

Int32 = Annotated[int, Format("int32")]


class Binding(Model):
    """What applications bind to (Service Binding for Kubernetes: a provisioned service)."""

    name: str
    """Secret with type, provider, host and port, and with username, password and ca.crt where they are needed."""


class MemcachedStatus(Model):
    """What was observed. Written by the operator only."""

    observed_generation: Annotated[int, Format("int64")] | None = None
    """The generation of the resource that this status was computed for."""

    conditions: Annotated[list[Condition], ListMap("type")] | None = None
    """Available: enough pods answer. Progressing: the pods are being brought to what the resource asks for. Degraded:
    something keeps the operator from doing so."""

    replicas: Int32 | None = None
    """Number of pods that exist."""

    ready_replicas: Int32 | None = None
    """Number of pods that answer."""

    selector: str | None = None
    """Label selector of the pods, for autoscalers."""

    nodes: list[str] | None = None
    """Names of the pods, in the order of their ordinals."""

    servers: list[str] | None = None
    """What clients hash over: host and port of every wanted pod, in stable order."""

    version: str | None = None
    """Version that the pods run, as memcached itself says; several during an upgrade."""

    memory: str | None = None
    """Memory for items that the pods run with, as memcached itself says; several during a change."""

    binding: Binding | None = None
    """What applications bind to."""
