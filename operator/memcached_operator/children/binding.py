"""The Secret that applications bind to (Service Binding for Kubernetes 1.1, well-known Secret entries)."""

from __future__ import annotations

from memcached_operator import listeners, naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.surroundings import Surroundings

__all__ = ["binding"]


def binding(memcached: Memcached, surroundings: Surroundings) -> Manifest | None:
    """Return the Secret with everything that a client needs; None while there is no user to log in with.

    Where there are several users it has the first one, by name. With TLS it has the encrypted port.
    """
    ports = listeners.container_ports(memcached)
    content = {
        "type": "memcached",
        "provider": naming.MANAGED_BY,
        "host": f"{memcached.metadata.name}.{memcached.metadata.namespace}.svc",
        "port": str(ports.get(listeners.TLS) or ports[listeners.PLAIN]),
    }
    if memcached.spec.auth:
        if surroundings.credentials is None:
            return None
        login = surroundings.credentials.users[0]
        content |= {"username": login.user, "password": login.password}
    if memcached.spec.tls and surroundings.certificate_authority:
        content["ca.crt"] = surroundings.certificate_authority
    return manifest(
        memcached,
        "v1",
        "Secret",
        naming.binding_secret(memcached),
        type="servicebinding.io/memcached",
        stringData=content,
    )
