"""The operators that are compared: how each is started, what its resource looks like, when it is done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import shape
from bench.peer import GROUP, Peer
from bench.peer import WORKERS as PEER_WORKERS
from bench.processes import Operator
from bench.server import Manifest
from kopf_sdk.generate import crd_manifests
from kopf_sdk.runtime import Kind
from kopf_sdk.testing.cache import cache_directory
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.controller import controllers

__all__ = ["Side", "sides"]

WORKERS = 16


@dataclass(frozen=True)
class Side:
    """One operator."""

    name: str
    """ours, tuned, shipped, shape."""
    title: str
    kind: Kind
    crd: str
    """Its CustomResourceDefinition, JSON or YAML."""
    agent: str
    """How its user agent begins in the audit log."""
    command: Sequence[str]
    owns: Sequence[Kind]
    """The kinds of its children."""
    converged: Callable[[Manifest], bool]
    """Whether the status of a resource says that its children are there."""
    drift: tuple[Kind, Callable[[str], str], Manifest, Callable[[Manifest], bool]]
    """A child that is broken by hand: its kind, its name, the merge patch, and when it is whole again."""
    workload: tuple[Kind, Callable[[str], str]]
    """The child that `spec.size` changes, and its name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    flags: Callable[[int], Sequence[str]] = lambda port: (f"--health-probe-bind-address=127.0.0.1:{port}",)

    @property
    def crd_name(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.kind.plural}.{self.kind.group}"

    def start(
        self, kubeconfig: Path, log: Path, port: int, *more: str, environment: Mapping[str, str] | None = None
    ) -> Operator:
        """Start it, for all namespaces."""
        variables = {"KUBECONFIG": str(kubeconfig), **self.environment, **(environment or {})}
        return Operator.start([*self.command, *self.flags(port), *more], variables, log, port)

    def resource(self, name: str, labels: Mapping[str, str] | None = None) -> Manifest:
        """The smallest resource that the tutorial has."""
        return {
            "apiVersion": self.kind.api_version,
            "kind": self.kind.kind,
            "metadata": {"name": name, "labels": dict(labels or {})},
            "spec": {"size": 1, "containerPort": 11211},
        }


def sides(peer: Peer) -> dict[str, Side]:
    """Return all four, by name."""
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "POD_NAMESPACE": "default",
        # As in an image, modules are compiled once.
        "PYTHONPYCACHEPREFIX": str(cache_directory() / "bench" / "bytecode"),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    shaped = Kind.of(shape.Memcached)
    theirs = Kind(f"{GROUP}/v1alpha1", "Memcached", "memcacheds")
    found = [
        Side(
            name="ours",
            title="Ours: memcached-operator, every child",
            kind=Kind.of(Memcached),
            crd=json.dumps(crd_manifests([Memcached])[0]),
            agent="kopf-sdk",
            command=[sys.executable, "-m", "memcached_operator"],
            owns=controllers()[0].owns,
            converged=_observed,
            drift=(SERVICE, str, {"spec": {"selector": {"added": "by-hand"}}}, _selector_whole),
            workload=(STATEFUL_SET, str),
            environment=environment,
            flags=_our_flags,
        ),
        Side(
            name="shape",
            title="Our runtime in the peer's shape: one Deployment",
            kind=shaped,
            crd=json.dumps(crd_manifests([shape.Memcached])[0]),
            agent="kopf-sdk",
            command=[sys.executable, "-m", "bench.shape"],
            owns=[DEPLOYMENT],
            converged=_observed,
            drift=(DEPLOYMENT, str, {"spec": {"replicas": 0}}, _one_replica),
            workload=(DEPLOYMENT, str),
            environment=environment,
            flags=_our_flags,
        ),
    ]
    for name, title, binary in (
        ("tuned", f"Go sample, tuned: no client limit, {PEER_WORKERS} workers", peer.tuned),
        ("shipped", "Go sample as shipped", peer.shipped),
    ):
        found.append(
            Side(
                name=name,
                title=title,
                kind=theirs,
                crd=peer.crd,
                agent=binary.name,
                command=[str(binary)],
                owns=[DEPLOYMENT],
                converged=_available,
                drift=(DEPLOYMENT, str, {"spec": {"replicas": 0}}, _one_replica),
                workload=(DEPLOYMENT, str),
                environment={"MEMCACHED_IMAGE": "memcached:1.6-alpine", "POD_NAMESPACE": "default"},
            )
        )
    return {side.name: side for side in found}


SERVICE = Kind("v1", "Service")
STATEFUL_SET = Kind("apps/v1", "StatefulSet")
DEPLOYMENT = Kind("apps/v1", "Deployment")


def _our_flags(port: int) -> Sequence[str]:
    return (
        f"--health-probe-bind-address=127.0.0.1:{port}",
        "--metrics-bind-address=0",
        f"--workers={WORKERS}",
        "--log-level=warning",
    )


def _observed(manifest: Manifest) -> bool:
    status: dict[str, Any] = manifest.get("status") or {}
    return bool(status.get("observedGeneration") == manifest["metadata"]["generation"])


def _available(manifest: Manifest) -> bool:
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Available" and condition["status"] == "True" for condition in conditions)


def _one_replica(manifest: Manifest) -> bool:
    return bool(manifest["spec"].get("replicas") == 1)


def _selector_whole(manifest: Manifest) -> bool:
    return "added" not in manifest["spec"]["selector"]
