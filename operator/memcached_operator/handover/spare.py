"""The spare pod: what it is made of, and how far it is. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from kopf_sdk.api import Quantity
from memcached_operator import listeners, naming, sizing
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.diagnosis import diagnose
from memcached_operator.operand import Operand
from memcached_operator.paths import LOGIN_PATH, TLS_PATH
from memcached_operator.template import CONTAINER, ITEM_MEMORY

__all__ = [
    "COPIER",
    "GREETING_PORT",
    "GREETING_WORD",
    "NEW_ADDRESS",
    "Progress",
    "Stage",
    "greeting",
    "labels",
    "name",
    "progress",
    "served",
    "spare_pod",
]

COPIER = "handover"
NEW_ADDRESS = "cache.example.com/handover-to"
"""Annotation of a spare pod: the address of the pod to copy to, as soon as it has one."""
GREETING_WORD = "HANDOVER_GREETING"
_OLD_POD = "cache.example.com/handover-from"
"""Annotation of a spare pod: the UID of the pod that it copies from."""
GREETING_PORT = 11213
"""Where a new pod says that its memcached is about to start; nobody knows its address earlier."""
_SPARE_PORT, _READY_PORT = 11211, 11212
_CLIENT_PATH = "/etc/memcached-client"
_INFO_PATH = "/etc/handover"
_REQUESTS = {"cpu": "100m", "memory": "64Mi"}
_LIMIT_MIB = 256
_COPIES = 6
"""How often an item may be in the copier's memory at the same time, in its streams' buffers above all."""
_HARDENED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


class Stage(Enum):
    """How far a handover is."""

    COPYING = auto()
    """The spare does not hold everything yet."""
    COPIED = auto()
    """The old pod may go."""
    RETURNING = auto()
    """The old pod is gone; its items are in the spare only."""
    DONE = auto()
    """The new pod has the items."""
    FAILED = auto()
    """It came to nothing."""


@dataclass(frozen=True)
class Progress:
    """A stage, and what the spare pod said of it."""

    stage: Stage
    message: str = ""
    kept: Mapping[str, int] | None = None


def labels(memcached: Memcached) -> dict[str, str]:
    """Return the labels of spare pods: no Service, budget or policy of the cache selects them."""
    return naming.selector(memcached) | {"app.kubernetes.io/name": "memcached-spare"}


def name(pod: Mapping[str, Any]) -> str:
    """Return the name of a pod's spare."""
    return f"{pod['metadata']['name']}-spare"


def served(spare: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and UID of the pod whose items the spare takes."""
    metadata = spare["metadata"]
    return str(metadata["name"]).removesuffix("-spare"), str((metadata.get("annotations") or {}).get(_OLD_POD))


def greeting(spare: Mapping[str, Any]) -> str:
    """Return what the new pod has to know to greet its spare (address, port, a word); empty while there is nothing."""
    address = spare.get("status", {}).get("podIP")
    return f"{address} {GREETING_PORT} {spare['metadata']['uid']}" if address else ""


def spare_pod(
    memcached: Memcached, operand: Operand, pod: Mapping[str, Any], template: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest of the spare for a pod that serves.

    It runs the memcached that the pod runs, as large as the pod's or as the new one's, whichever is larger, and is
    placed like the new one.

    Parameters
    ----------
    pod
        The old pod.
    template
        What its successor will be made from.
    """
    placed = ("affinity", "imagePullSecrets", "nodeSelector", "priorityClassName", "securityContext", "tolerations")
    old = _container(pod["spec"])
    memory = max(_item_memory(pod["metadata"]), _item_memory(template["metadata"]), sizing.item_memory_mib(memcached))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(pod),
            "namespace": memcached.metadata.namespace,
            "labels": labels(memcached),
            "annotations": {_OLD_POD: pod["metadata"]["uid"]},
            "ownerReferences": [
                {
                    "apiVersion": memcached.definition.api_version,
                    "kind": memcached.definition.kind,
                    "name": memcached.metadata.name,
                    "uid": memcached.metadata.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {name: template["spec"][name] for name in placed if name in template["spec"]}
        | {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": CONTAINER,
                    "image": old["image"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": [
                        "memcached",
                        "--listen=127.0.0.1",
                        f"--port={_SPARE_PORT}",
                        f"--memory-limit={memory}",
                        f"--max-item-size={sizing.max_item_bytes(memcached)}",
                        "--conn-limit=64",
                        "--threads=2",
                    ],
                    "resources": max(
                        (old.get("resources") or {}, _container(template["spec"])["resources"]), key=_memory_limit
                    ),
                    "securityContext": _HARDENED,
                },
                _copier(memcached, operand, pod),
            ],
            "volumes": _volumes(memcached),
        },
    }


def progress(spare: Mapping[str, Any], pod: Mapping[str, Any] | None) -> Progress:
    """Tell how far a handover is.

    Parameters
    ----------
    spare
        The spare pod.
    pod
        The pod that has the old one's name now.
    """
    status = spare.get("status", {})
    copier: Mapping[str, Any] = {}
    for container in status.get("containerStatuses", []):
        ended = container.get("state", {}).get("terminated")
        if container["name"] == COPIER:
            copier = container
        elif ended:
            return Progress(Stage.FAILED, f"the spare's memcached ended with {ended.get('exitCode')}")
    ended = copier.get("state", {}).get("terminated")
    if ended and ended.get("exitCode") == 0:
        return Progress(Stage.DONE, kept=json.loads(ended.get("message") or "{}"))
    if ended or status.get("phase") == "Failed":
        message = (ended or {}).get("message") or status.get("message") or (ended or {}).get("reason") or "no reason"
        return Progress(Stage.FAILED, str(message).strip())
    if pod is None or pod["metadata"]["uid"] != served(spare)[1]:
        return Progress(Stage.RETURNING)
    if copier.get("ready"):
        return Progress(Stage.COPIED)
    # A node that is still to come, a registry that does not answer: what keeps it now may be over in a moment.
    return Progress(Stage.COPYING, "; ".join(problem.message for problem in diagnose([dict(spare)])))


def _copier(memcached: Memcached, operand: Operand, pod: Mapping[str, Any]) -> dict[str, Any]:
    spec = memcached.spec
    ports = {port["name"]: port["containerPort"] for port in _container(pod["spec"]).get("ports", [])}
    source = ports.get(listeners.PLAIN) or ports.get(listeners.TLS) or spec.container_port
    mounted = {volume["name"] for volume in pod["spec"].get("volumes", [])}
    switches = {
        "--source-tls": listeners.PLAIN not in ports,
        "--source-login": "login" in mounted,
        "--target-tls": spec.tls is not None and not spec.tls.plain_port,
        "--target-login": spec.auth is not None,
    }
    host = naming.servers(memcached)[0].partition(".")[2].rpartition(":")[0]
    return {
        "name": COPIER,
        "image": operand.operator_image,
        "command": ["python3", "-m", "memcached_operator.handover"],
        "args": [
            f"--source={_address(pod['status']['podIP'])}:{source}",
            f"--target={pod['metadata']['name']}.{host}:{spec.container_port}",
            f"--target-address={_INFO_PATH}/target",
            f"--spare-port={_SPARE_PORT}",
            f"--ready-port={_READY_PORT}",
            f"--greeting-port={GREETING_PORT}",
            f"--login-directory={LOGIN_PATH}",
            *(switch for switch, given in switches.items() if given),
            *([f"--certificates={TLS_PATH}"] if spec.tls else []),
            *([f"--client-certificates={_CLIENT_PATH}"] if spec.tls and spec.tls.operator_secret_name else []),
        ],
        "env": [{"name": GREETING_WORD, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
        "resources": {"requests": _REQUESTS, "limits": {"memory": _copier_limit(memcached)}},
        "readinessProbe": {"tcpSocket": {"port": _READY_PORT}, "periodSeconds": 1, "failureThreshold": 1},
        "securityContext": _HARDENED,
        "volumeMounts": [
            {"name": volume["name"], "mountPath": path, "readOnly": True}
            for volume, path in zip(_volumes(memcached), _paths(memcached), strict=True)
        ],
    }


def _copier_limit(memcached: Memcached) -> str:
    largest = -(-sizing.max_item_bytes(memcached) // 2**20)
    return f"{_LIMIT_MIB + _COPIES * largest}Mi"


def _volumes(memcached: Memcached) -> list[dict[str, Any]]:
    tls = memcached.spec.tls
    field = {"fieldPath": f"metadata.annotations['{NEW_ADDRESS}']"}
    secrets = {"login": naming.login_secret(memcached)}
    if tls:
        secrets["tls"] = tls.secret_name
        if tls.operator_secret_name:
            secrets["client"] = tls.operator_secret_name
    return [
        {"name": "info", "downwardAPI": {"items": [{"path": "target", "fieldRef": field}]}},
        *({"name": volume, "secret": {"secretName": name, "optional": True}} for volume, name in secrets.items()),
    ]


def _paths(memcached: Memcached) -> list[str]:
    tls = memcached.spec.tls
    paths = [_INFO_PATH, LOGIN_PATH]
    if tls:
        paths += [TLS_PATH, _CLIENT_PATH] if tls.operator_secret_name else [TLS_PATH]
    return paths


def _container(spec: Mapping[str, Any]) -> dict[str, Any]:
    return next(dict(found) for found in spec["containers"] if found["name"] == CONTAINER)


def _item_memory(metadata: Mapping[str, Any]) -> int:
    return int((metadata.get("annotations") or {}).get(ITEM_MEMORY) or 0)


def _memory_limit(resources: Mapping[str, Any]) -> Quantity:
    return Quantity((resources.get("limits") or {}).get("memory", "0"))


def _address(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
