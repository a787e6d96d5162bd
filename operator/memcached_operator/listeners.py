"""Which ports memcached listens on, and what is spoken there."""

from __future__ import annotations

from collections.abc import Mapping

from memcached_operator.api.v1alpha1 import Memcached

__all__ = ["METRICS", "PLAIN", "TLS", "arguments", "container_ports", "local_port", "metrics_ports", "service_ports"]

PLAIN, TLS, METRICS = "memcache", "memcache-tls", "metrics"
"""Names of the ports, in pods and Services."""

_LOCAL_PORTS = (11210, 11209, 11208, 11207)


def local_port(memcached: Memcached) -> int:
    """Return the port on the pod's own loopback where plain text is spoken: a shell has no TLS."""
    spec = memcached.spec
    if spec.tls is None:
        return spec.container_port
    taken = {spec.container_port, spec.tls.port, spec.metrics.port}
    return next(port for port in _LOCAL_PORTS if port not in taken)


def arguments(memcached: Memcached) -> list[str]:
    """Return memcached's arguments for its listeners: `*` is every address of both families (`--listen`)."""
    spec = memcached.spec
    if spec.tls is None:
        return [f"--port={spec.container_port}"]
    local = f"notls:127.0.0.1:{local_port(memcached)}"
    if spec.tls.plain_port:
        return [f"--listen={local},notls:*:{spec.container_port},*:{spec.tls.port}"]
    return [f"--listen={local},*:{spec.container_port}"]


def container_ports(memcached: Memcached) -> dict[str, int]:
    """Return the ports that clients may use, by name."""
    spec = memcached.spec
    if spec.tls is None:
        return {PLAIN: spec.container_port}
    if spec.tls.plain_port:
        return {PLAIN: spec.container_port, TLS: spec.tls.port}
    return {TLS: spec.container_port}


def metrics_ports(memcached: Memcached) -> dict[str, int]:
    """Return the port of the exporter by its name; nothing without an exporter."""
    metrics = memcached.spec.metrics
    return {METRICS: metrics.port} if metrics.enabled else {}


def service_ports(ports: Mapping[str, int]) -> list[dict[str, object]]:
    """Return named ports of the pods as those of a Service."""
    return [{"name": name, "port": port, "protocol": "TCP", "targetPort": name} for name, port in ports.items()]
