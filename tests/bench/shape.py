"""Our runtime doing exactly what the peer does: one Deployment per resource, one condition. A program as well."""

from __future__ import annotations

import sys

from pydantic import Field

from kopf_sdk.api import Condition, CustomResource, Model
from kopf_sdk.runtime import Controller, Kind, Manager, Manifest, Request, Settings

__all__ = ["Memcached"]

DEPLOYMENT = Kind("apps/v1", "Deployment")
MANAGED = {"app.kubernetes.io/managed-by": "shape"}


class Spec(Model):
    size: int = Field(default=1, ge=1, le=3)
    container_port: int = 11211


class Status(Model):
    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)


class Memcached(CustomResource, group="cache.shape.example.com", version="v1alpha1"):
    """What the peer's resource is."""

    spec: Spec = Field(default_factory=Spec)
    status: Status | None = None


def deployment(memcached: Memcached) -> Manifest:
    """Return the Deployment that the peer makes."""
    labels = {"app.kubernetes.io/name": "memcached", "app.kubernetes.io/instance": memcached.metadata.name}
    container = {
        "image": "memcached:1.6-alpine",
        "name": "memcached",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1001,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "ports": [{"containerPort": memcached.spec.container_port, "name": "memcached"}],
        "command": ["memcached", "--memory-limit=64", "-o", "modern", "-v"],
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": memcached.metadata.name},
        "spec": {
            "replicas": memcached.spec.size,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"securityContext": security, "containers": [container]},
            },
        },
    }


async def reconcile(request: Request[Memcached]) -> None:
    """Apply the Deployment and say so."""
    await request.apply([deployment(request.resource)])
    size = request.resource.spec.size
    message = f"Deployment for custom resource ({request.name}) with {size} replicas created successfully"
    condition = Condition(type="Available", status="True", reason="Reconciling", message=message)
    await request.update_status(Status(conditions=[condition]))


def controller() -> Controller[Memcached]:
    """The declaration."""
    return Controller(Memcached, reconcile, owns=[DEPLOYMENT], owned_labels=MANAGED)


if __name__ == "__main__":
    sys.exit(Manager(Settings.load(), [controller()]).run())
