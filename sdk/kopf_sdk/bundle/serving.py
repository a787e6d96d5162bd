"""Which deployment answers behind a Service, and on which port: webhooks and aggregated APIs both need to know.

OLM makes its own Service for a serving deployment and ignores the chart's (v0: pkg/controller/install/certresources.go,
v1: registryv1/generators). Its name and that of the Secret with the certificate follow from the deployment's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from kopf_sdk.bundle.objects import Object, pod_spec, selects

__all__ = ["Backend", "ServingPorts", "find_backend", "olm_secret_name", "olm_service_name"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A deployment behind a Service: the port clients use and the one the container listens on."""

    deployment: str
    service: str
    port: int
    target_port: int


def olm_service_name(deployment: str) -> str:
    """Return the name of the Service that OLM makes for a serving deployment."""
    return f"{deployment.replace('.', '-')}-service"


def olm_secret_name(deployment: str) -> str:
    """Return the name of the Secret with the certificate that OLM makes for a serving deployment."""
    return f"{olm_service_name(deployment)}-cert"


def find_backend(service: Object | None, port: int, deployments: Iterable[Object]) -> Backend | None:
    """Return the deployment that a Service sends `port` to.

    None when its selector picks none or the port is missing.
    """
    if service is None:
        return None
    target: Any = port
    entry = next((entry for entry in service.spec.get("ports") or () if entry.get("port") == port), None)
    if entry is None:
        return None
    target = entry.get("targetPort") or port
    picked = [d for d in deployments if selects(service.spec.get("selector"), _pod_labels(d))]
    numbers = {d.name: _container_port(d, target) for d in picked}
    picked.sort(key=lambda d: numbers[d.name] is None)
    for deployment in picked:
        number = numbers[deployment.name] or (target if isinstance(target, int) else None)
        if number is not None:
            return Backend(deployment.name, service.name, port, number)
    return None


def _pod_labels(deployment: Object) -> Mapping[str, str]:
    return ((deployment.spec.get("template") or {}).get("metadata") or {}).get("labels") or {}


def _container_port(deployment: Object, target: Any) -> int | None:
    for container in pod_spec(deployment).get("containers") or ():
        for port in container.get("ports") or ():
            number: int = int(port.get("containerPort") or 0)
            if number and str(target) in {str(number), port.get("name")}:
                return number
    return int(target) if isinstance(target, str) and target.isdigit() else None


@dataclass(slots=True, eq=False, repr=False)
class ServingPorts:
    """Ports of the Services OLM makes: their names are the port numbers, so one number may lead to one target only."""

    taken: dict[tuple[str, int], int] = field(default_factory=dict)

    def claim(self, backend: Backend) -> int:
        """Return the port for the CSV: the chart's, or another one when it already leads elsewhere."""
        wanted = chain([backend.port, backend.target_port], range(1024, 65536))
        key, target = backend.deployment, backend.target_port
        return next(port for port in wanted if self.taken.setdefault((key, port), target) == target)
