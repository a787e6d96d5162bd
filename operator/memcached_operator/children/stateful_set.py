"""The StatefulSet: stable pod names, all pods at once on creation, replaced by the operator alone."""

from __future__ import annotations

from typing import Any

from memcached_operator import listeners, naming, sizing, template
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.arguments import command_line, digest, live_memory
from memcached_operator.children import exporter, extstore
from memcached_operator.children.manifest import Manifest, manifest
from memcached_operator.operand import Operand
from memcached_operator.paths import (
    ARGUMENTS_FILE,
    AUTH_PATH,
    CACHE_PATH,
    CONFIG_PATH,
    ITEM_MEMORY_FILE,
    LOGIN_PATH,
    POD_PATH,
    STATE_PATH,
    TLS_PATH,
)
from memcached_operator.scripts import PROBE_FILE, START_FILE
from memcached_operator.surroundings import Surroundings

__all__ = ["stateful_set"]

_UID = 11211
"""The user of the official image. OpenShift gives each namespace users of its own."""


def stateful_set(memcached: Memcached, operand: Operand, surroundings: Surroundings) -> Manifest:
    """Return the StatefulSet.

    `OnDelete`, because a pod that goes takes its items along: the operator decides when (see `rollout`), not the
    StatefulSet controller. `Parallel`, because memcached pods need not wait for each other.
    """
    spec = memcached.spec
    wanted = manifest(
        memcached,
        "apps/v1",
        "StatefulSet",
        memcached.metadata.name,
        spec={
            "replicas": spec.size,
            "serviceName": naming.nodes_service(memcached),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": naming.selector(memcached)},
            "template": {
                "metadata": {
                    "labels": spec.pod_labels | naming.labels(memcached),
                    "annotations": spec.pod_annotations | _read_by_the_pod(memcached),
                },
                "spec": _pod(memcached, operand, surroundings),
            },
            **extstore.claims(memcached),
        },
    )
    template.stamp(wanted["spec"]["template"], memcached)
    return template.settle(
        wanted,
        surroundings.stateful_set,
        memcached,
        warm=memcached.spec.warm_restart.enabled,
        upgrade=operand.rollout_on_upgrade,
    )


def _read_by_the_pod(memcached: Memcached) -> dict[str, str]:
    """Return the annotations that say how memcached starts in the pod that has them."""
    memory = {template.ITEM_MEMORY: str(sizing.item_memory_mib(memcached))} if live_memory(memcached) else {}
    return {template.ARGUMENTS: digest(memcached)} | memory


def _pod(memcached: Memcached, operand: Operand, surroundings: Surroundings) -> dict[str, Any]:
    spec = memcached.spec
    optional = {
        "affinity": spec.affinity,
        "imagePullSecrets": [secret.to_json() for secret in spec.image_pull_secrets],
        "nodeSelector": spec.node_selector,
        "priorityClassName": spec.priority_class_name,
        "tolerations": spec.tolerations,
    }
    spread = spec.topology_spread_constraints
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": spec.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            **({} if surroundings.openshift else {"runAsUser": _UID, "runAsGroup": _UID, "fsGroup": _UID}),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": _default_spread(memcached) if spread is None else spread,
        "containers": [
            _container(memcached, operand),
            *([exporter.container(memcached, operand)] if spec.metrics.enabled else []),
        ],
        "volumes": [volume for volume, _ in _mounts(memcached)] + extstore.volume(memcached),
        **{name: value for name, value in optional.items() if value},
    }


def _container(memcached: Memcached, operand: Operand) -> dict[str, Any]:
    spec = memcached.spec
    return {
        "name": template.CONTAINER,
        "image": spec.image or operand.memcached_image,
        "imagePullPolicy": spec.image_pull_policy,
        "command": _command(memcached),
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"}
            for name, port in listeners.container_ports(memcached).items()
        ],
        "resources": sizing.resources(memcached),
        **_startup(memcached),
        "readinessProbe": {**_question(memcached), "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 2},
        # A restart empties the cache: only two minutes without any answer are worth one. A port stays open while
        # memcached hangs.
        "livenessProbe": {
            **_question(memcached, "alive"),
            "periodSeconds": 15,
            "timeoutSeconds": 15,
            "failureThreshold": 8,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [mount for _, mount in _mounts(memcached)] + extstore.mount(memcached),
    }


def _mounts(memcached: Memcached) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return every volume with its mount. Whole directories: the kubelet never refreshes a single mounted file."""
    spec = memcached.spec
    mounts = [_mount("config", CONFIG_PATH, configMap={"name": naming.arguments_config_map(memcached)})]
    if spec.tls:
        mounts.append(_mount("tls", TLS_PATH, secret={"secretName": spec.tls.secret_name}))
    if spec.auth:
        mounts.append(_mount("auth", AUTH_PATH, secret={"secretName": naming.auth_secret(memcached)}))
        mounts.append(_mount("login", LOGIN_PATH, secret={"secretName": naming.login_secret(memcached)}))
    if spec.probes.type != "tcp":
        mounts.append(_mount("pod-info", POD_PATH, downwardAPI={"items": _annotations(memcached)}))
        mounts.append(_memory("state", STATE_PATH, "1Mi"))
    if spec.warm_restart.enabled:
        mounts.append(_memory("cache", CACHE_PATH, f"{sizing.memory_volume_mib(memcached)}Mi"))
    return mounts


def _mount(name: str, path: str, **source: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"name": name, **source}, {"name": name, "mountPath": path, "readOnly": True}


def _memory(name: str, path: str, size: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a volume in memory. It outlives the container, and its pages count as the container's memory."""
    volume = {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": size}}
    return volume, {"name": name, "mountPath": path}


def _annotations(memcached: Memcached) -> list[dict[str, Any]]:
    """Return the pod's own annotations as files: the kubelet brings them up to date when they change."""
    names = {ARGUMENTS_FILE: template.ARGUMENTS}
    if live_memory(memcached):
        names[ITEM_MEMORY_FILE] = template.ITEM_MEMORY
    return [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}} for path, name in names.items()
    ]


def _startup(memcached: Memcached) -> dict[str, Any]:
    """Return the probe that waits while memcached reads its items: killed meanwhile, it would start without them."""
    if not memcached.spec.warm_restart.enabled:
        return {}
    port = {"port": memcached.spec.container_port}
    patience = 60 + 5 * sizing.item_memory_mib(memcached) // 1024
    return {"startupProbe": {"tcpSocket": port, "periodSeconds": 1, "failureThreshold": patience}}


def _command(memcached: Memcached) -> list[str]:
    if memcached.spec.probes.type == "tcp":  # an image without a shell: a changed argument needs a new pod there
        return ["memcached", *command_line(memcached)]
    return ["sh", f"{CONFIG_PATH}/{START_FILE}"]


def _question(memcached: Memcached, *words: str) -> dict[str, Any]:
    if memcached.spec.probes.type == "tcp":
        return {"tcpSocket": {"port": memcached.spec.container_port}}
    return {"exec": {"command": ["sh", f"{CONFIG_PATH}/{PROBE_FILE}", *words]}}


def _default_spread(memcached: Memcached) -> list[dict[str, Any]]:
    """Prefer even spreading over zones and nodes, but never leave a pod pending for it."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": topology_key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": naming.selector(memcached)},
        }
        for topology_key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
