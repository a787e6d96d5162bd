"""A small operator with every kind of child that operators usually have. Also a program: `python toy.py [flags]`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from pydantic import Field

from kopf_sdk.api import Condition, CustomResource, Model
from kopf_sdk.runtime import Controller, Kind, Manager, Manifest, Request, Result, Settings, Watch, by_label

GROUP = "runtime.test.kopf-sdk.dev"
MANAGED = {"app.kubernetes.io/managed-by": "toy-operator"}

CONFIG_MAP = Kind("v1", "ConfigMap")
SECRET = Kind("v1", "Secret")
SERVICE = Kind("v1", "Service")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount")
DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
INGRESS = Kind("networking.k8s.io/v1", "Ingress")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
STATEFUL_SET = Kind("apps/v1", "StatefulSet")
DEPLOYMENT = Kind("apps/v1", "Deployment")
GADGET = Kind(f"gadgets.{GROUP}/v1", "Gadget", optional=True)
POD = Kind("v1", "Pod")

OWNED = [
    CONFIG_MAP, SECRET, SERVICE, SERVICE_ACCOUNT, DISRUPTION_BUDGET, NETWORK_POLICY, INGRESS, AUTOSCALER, STATEFUL_SET,
    DEPLOYMENT, GADGET,
]  # fmt: skip


class ToySpec(Model):
    size: int = 1
    text: str = "x"
    secret: str = ""
    """Name of a Secret that the resource uses."""
    children: list[str] = Field(default_factory=list)
    """The kinds of children it has; all, if empty."""
    keys: list[str] = Field(default_factory=lambda: ["text"])

    events: bool = False
    """Whether every change is told in an event."""


class ToyStatus(Model):
    ready: int = 0
    seen: str = ""
    conditions: list[Condition] = Field(default_factory=list)


class Toy(CustomResource, group=GROUP, version="v1"):
    """Something to reconcile."""

    spec: ToySpec
    status: ToyStatus | None = None


def pod_template(name: str, text: str, labels: dict[str, str]) -> Manifest:
    """A pod with everything that the API server adds defaults to."""
    return {
        "metadata": {"labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Mi"}},
                {"name": "all", "projected": {"sources": [{"configMap": {"name": name}}, {"secret": {"name": name}}]}},
                {"name": "config", "configMap": {"name": name}},
                {"name": "secret", "secret": {"secretName": name, "items": [{"key": "text", "path": "t"}]}},
            ],
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"a": "b"}},
                }
            ],
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 1,
                            "podAffinityTerm": {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"a": "b"}},
                            },
                        }
                    ]
                }
            },
            "initContainers": [{"name": "init", "image": "busybox", "command": ["true"]}],
            "containers": [
                {
                    "name": "main",
                    "image": "memcached:1.6",
                    "args": ["-m", "64", text],
                    "ports": [{"name": "memcached", "containerPort": 11211}],
                    "env": [
                        {"name": "ONE", "value": "1000m"},
                        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                        {"name": "TEXT", "valueFrom": {"configMapKeyRef": {"name": name, "key": "text"}}},
                    ],
                    "resources": {
                        "requests": {"cpu": "1000m", "memory": "1024Mi"},
                        "limits": {"cpu": 2, "memory": "2048Mi"},
                    },
                    "readinessProbe": {"tcpSocket": {"port": "memcached"}},
                    "livenessProbe": {"exec": {"command": ["true"]}},
                    "lifecycle": {"preStop": {"exec": {"command": ["sleep", "1"]}}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "all", "mountPath": "/all"}],
                }
            ],
        },
    }


def children(toy: Toy) -> list[Manifest]:
    """Every child, written as people write manifests: without defaults, with quantities as they come."""
    name = toy.metadata.name
    selector = {"app.kubernetes.io/name": "toy", "app.kubernetes.io/instance": name}
    metadata = {"name": name, "labels": selector}
    template = pod_template(name, toy.spec.text, {**selector, **MANAGED})
    every: list[tuple[Kind, dict[str, Any]]] = [
        (CONFIG_MAP, {"data": dict.fromkeys(toy.spec.keys, toy.spec.text)}),
        (SECRET, {"stringData": {"text": toy.spec.text}, "type": "Opaque"}),
        (SERVICE_ACCOUNT, {"automountServiceAccountToken": False}),
        (
            SERVICE,
            {
                "spec": {
                    "clusterIP": "None",
                    "selector": selector,
                    "ports": [
                        {"name": "memcached", "port": 11211, "targetPort": "memcached"},
                        {"name": "udp", "port": 11211, "protocol": "UDP"},
                    ],
                }
            },
        ),
        (DISRUPTION_BUDGET, {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}}}),
        (
            NETWORK_POLICY,
            {
                "spec": {
                    "podSelector": {"matchLabels": selector},
                    "policyTypes": ["Ingress"],
                    "ingress": [{"ports": [{"port": 11211}], "from": [{"podSelector": {}}]}],
                }
            },
        ),
        (
            INGRESS,
            {
                "spec": {
                    "rules": [
                        {
                            "host": "toy.example",
                            "http": {
                                "paths": [
                                    {
                                        "path": "/",
                                        "pathType": "Prefix",
                                        "backend": {"service": {"name": name, "port": {"name": "memcached"}}},
                                    }
                                ]
                            },
                        }
                    ]
                }
            },
        ),
        (
            AUTOSCALER,
            {
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                    "maxReplicas": 3,
                    "metrics": [
                        {
                            "type": "Resource",
                            "resource": {
                                "name": "memory",
                                "target": {"type": "AverageValue", "averageValue": "1024Mi"},
                            },
                        }
                    ],
                }
            },
        ),
        (
            STATEFUL_SET,
            {
                "spec": {
                    "replicas": toy.spec.size,
                    "serviceName": name,
                    "selector": {"matchLabels": selector},
                    "podManagementPolicy": "Parallel",
                    "updateStrategy": {"type": "OnDelete"},
                    "template": template,
                    "volumeClaimTemplates": [
                        {
                            "metadata": {"name": "data"},
                            "spec": {
                                "accessModes": ["ReadWriteOnce"],
                                "resources": {"requests": {"storage": "1024Mi"}},
                            },
                        }
                    ],
                }
            },
        ),
        (
            DEPLOYMENT,
            {"spec": {"replicas": 0, "selector": {"matchLabels": selector}, "template": template}},
        ),
        (GADGET, {"spec": {"interval": "30s"}}),
    ]
    wanted = toy.spec.children or [kind.kind for kind in OWNED]
    return [
        {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}
        for kind, rest in every
        if kind.kind in wanted
    ]


async def reconcile(request: Request[Toy]) -> Result | None:
    """Apply the children and say how it went."""
    applied = await request.apply(children(request.resource))
    if request.resource.spec.text.startswith("sleep:"):
        await asyncio.sleep(float(request.resource.spec.text.removeprefix("sleep:")))
    stateful_set = request.get(STATEFUL_SET, request.name)
    secret = request.get(SECRET, request.resource.spec.secret) if request.resource.spec.secret else None
    for change in applied.changes if request.resource.spec.events else ():
        request.event("Normal", change.action.value.capitalize(), f"{change.kind.kind} {change.name} {change.path}")
    problems = applied.problems
    await request.update_status(
        ToyStatus(
            ready=((stateful_set or {}).get("status") or {}).get("readyReplicas", 0),
            seen=secret["metadata"].get("annotations", {}).get("note", "") if secret else "",
            conditions=[
                Condition(
                    type="Available",
                    status="False" if problems else "True",
                    reason=problems[0].reason if problems else "Fine",
                    message="; ".join(map(str, problems)),
                )
            ],
        )
    )
    return None


def secret_users(secret: Manifest, cache: Any) -> list[str]:
    """The toys that name a Secret."""
    namespace, name = secret["metadata"]["namespace"], secret["metadata"]["name"]
    return [f"{namespace}/{toy.metadata.name}" for toy in cache.resources(namespace) if toy.spec.secret == name]


def controller(**options: Any) -> Controller[Toy]:
    """The declaration; `options` replace its parts."""
    declared: dict[str, Any] = {
        "owns": OWNED,
        "watches": [
            Watch(POD, to_keys=by_label("app.kubernetes.io/instance"), label_selector="app.kubernetes.io/name=toy"),
            Watch(SECRET, to_keys=secret_users, metadata_only=True),
        ],
        "owned_labels": MANAGED,
    }
    return Controller(Toy, reconcile, **(declared | options))


if __name__ == "__main__":
    sys.exit(Manager(Settings.load(), [controller()]).run())
