"""The discovery endpoint: a small Deployment behind a Service of its own, and who may ask it."""

from __future__ import annotations

from typing import Any

from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.operand import Operand
from memcached_operator.paths import SERVERS_PATH, TLS_PATH

__all__ = ["discovery"]

PORT = 11211
"""The port of ElastiCache's endpoints: many clients' configurations leave it out."""
_PORT_NAME = "discovery"
_RESOURCES = {"requests": {"cpu": "5m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}}


def discovery(memcached: Memcached, operand: Operand) -> list[Manifest]:
    """Return the endpoint's objects; none when it is not wanted."""
    if not memcached.spec.discovery.endpoint.enabled:
        return []
    children = [_service(memcached), _deployment(memcached, operand)]
    if memcached.spec.network_policy.enabled:
        children.append(_network_policy(memcached))
    for child in children:
        child["metadata"]["labels"] = naming.discovery_labels(memcached)
    return children


def _service(memcached: Memcached) -> Manifest:
    return manifest(
        memcached,
        "v1",
        "Service",
        naming.discovery(memcached),
        spec={
            "selector": naming.discovery_labels(memcached),
            "ports": [{"name": _PORT_NAME, "port": PORT, "protocol": "TCP", "targetPort": _PORT_NAME}],
        },
    )


def _deployment(memcached: Memcached, operand: Operand) -> Manifest:
    """Return the Deployment. It has no items to lose, so it follows the operator's image at once."""
    spec = memcached.spec
    mounts = [{"name": "servers", "mountPath": SERVERS_PATH, "readOnly": True}]
    volumes = [{"name": "servers", "configMap": {"name": naming.servers_config_map(memcached)}}]
    arguments = [f"--port={PORT}"]
    if spec.tls and not spec.tls.plain_port:  # clients use one way of speaking for the list and for the servers in it
        mounts.append({"name": "tls", "mountPath": TLS_PATH, "readOnly": True})
        volumes.append({"name": "tls", "secret": {"secretName": spec.tls.secret_name}})
        arguments.append(f"--tls-directory={TLS_PATH}")
    probe: dict[str, Any] = {"tcpSocket": {"port": _PORT_NAME}, "failureThreshold": 6}
    optional = {
        "imagePullSecrets": [secret.to_json() for secret in spec.image_pull_secrets],
        "nodeSelector": spec.node_selector,
        "priorityClassName": spec.priority_class_name,
        "tolerations": spec.tolerations,
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "discovery",
                "image": operand.operator_image,
                "command": ["python3", "-m", "memcached_operator.discovery"],
                "args": arguments,
                "ports": [{"name": _PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
                "resources": _RESOURCES,
                "readinessProbe": probe | {"periodSeconds": 5, "failureThreshold": 2},
                "livenessProbe": probe | {"periodSeconds": 10},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
        **{name: value for name, value in optional.items() if value},
    }
    labels = naming.discovery_labels(memcached)
    return manifest(
        memcached,
        "apps/v1",
        "Deployment",
        naming.discovery(memcached),
        spec={
            "replicas": spec.discovery.endpoint.replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    )


def _network_policy(memcached: Memcached) -> Manifest:
    """Return the policy: those may ask for the servers that may use them."""
    return manifest(
        memcached,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        naming.discovery(memcached),
        spec={
            "podSelector": {"matchLabels": naming.discovery_labels(memcached)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": memcached.spec.network_policy.clients or [{"podSelector": {}}],
                    "ports": [{"port": _PORT_NAME, "protocol": "TCP"}],
                }
            ],
        },
    )
