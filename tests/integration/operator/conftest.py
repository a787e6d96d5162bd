"""The operator as a process of its own, on a real API server with real controllers. Tests play the kubelet."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.runtime.access import account, grant
from kopf_sdk.generate import crd_manifests
from kopf_sdk.runtime.permissions import Rules, rules
from kopf_sdk.testing.cluster import Cluster
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.controller import controllers
from ports import free_port

GROUP_PATH = "/apis/cache.example.com/v1alpha1"
RESOURCE = "memcacheds.cache.example.com"
"""For kubectl: other tests have a kind of the same name in other groups."""


class Kubernetes:
    """The objects of one namespace, and the kubelet's part in their life."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def path(self, plural: str, name: str = "", api: str = "/api/v1") -> str:
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def get(self, plural: str, name: str, api: str = "/api/v1") -> dict[str, Any]:
        code, answer = self.cluster.api.get(self.path(plural, name, api))
        return answer if code == 200 else {}

    def stateful_set(self, name: str) -> dict[str, Any]:
        return self.get("statefulsets", name, "/apis/apps/v1")

    def memcached(self, name: str) -> dict[str, Any]:
        return self.get("memcacheds", name, GROUP_PATH)

    def apply(self, name: str, **spec: Any) -> None:
        manifest = {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        }
        self.cluster.apply(yaml.safe_dump(manifest))

    def patch(self, path: str, body: Any) -> None:
        code, answer = self.cluster.api.request("PATCH", path, body, content_type="application/merge-patch+json")
        assert code == 200, answer

    def pods(self) -> dict[str, dict[str, Any]]:
        items = self.cluster.api.get(self.path("pods"))[1]["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def uid(self, pod: str) -> str:
        """Return the UID of a pod, empty when it is not there."""
        return str(self.pods().get(pod, {"metadata": {"uid": ""}})["metadata"]["uid"])

    def replaced(self, pod: str, uid: str) -> bool:
        """Tell whether another pod than the one with this UID has the name."""
        return self.uid(pod) not in ("", uid)

    def children(self, name: str) -> list[str]:
        """Return what belongs to a resource by its name."""
        kinds = "statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies"
        items = self.cluster.get(kinds, "--namespace", self.namespace)["items"]
        return [item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith(name)]

    def make_ready(self, *names: str, ready: bool = True) -> None:
        """Say of pods what the kubelet would say of ones that serve."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp}
        for name in names:
            self.patch(f"{self.path('pods', name)}/status", {"status": {"phase": "Running", "conditions": [condition]}})

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        conditions = self.memcached(name).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})


def stand_in(group: str, kind: str) -> dict[str, Any]:
    """Return a definition for somebody else's kind that takes anything."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


@dataclass(frozen=True)
class Account:
    """Who the operator is, and where it serves metrics."""

    namespace: str
    kubeconfig: Path
    metrics: str
    rules: Rules

    @property
    def user(self) -> str:
        """Its name in the API server's audit log."""
        return f"system:serviceaccount:{self.namespace}:operator"


@pytest.fixture(scope="session")
def operator_account(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """A service account with the rights that the chart grants, and no other."""
    namespace = f"operator-{secrets.token_hex(4)}"
    control_plane.create_namespace(namespace)
    declared = rules(controllers())
    subject = (namespace, "operator")
    kubeconfig = account(control_plane, *subject, tmp_path_factory.mktemp("account"))
    grant(control_plane, subject, "manager", declared.manager)
    grant(control_plane, subject, "metrics", declared.metrics_auth)
    grant(control_plane, subject, "leader", declared.leader_election, namespace)
    return Account(namespace, kubeconfig, f"127.0.0.1:{free_port()}", declared)


@pytest.fixture(scope="session")
def operator(
    control_plane: Cluster, operator_account: Account, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m memcached_operator` out of cluster, for all namespaces."""
    monitoring = [stand_in("monitoring.coreos.com", kind) for kind in ("ServiceMonitor", "PrometheusRule")]
    definitions = [*crd_manifests([Memcached]), *monitoring]
    control_plane.apply(yaml.safe_dump_all(definitions))
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", *names)
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    arguments = [
        f"--metrics-bind-address={operator_account.metrics}",
        "--health-probe-bind-address=0",
        # It lives as long as the API server, which other tests stop and starve for a while.
        "--leader-elect",
        "--lease-duration=150",
        "--renew-deadline=120",
    ]
    yield from run_operator(operator_account.kubeconfig, log, *arguments)


def run_operator(kubeconfig: Path, log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the operator until the fixture ends; it has to end with 0 on SIGTERM."""
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "memcached_operator", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    yield process
    assert process.poll() is None, f"the operator ended on its own: {log.read_text()[-3000:]}"
    process.terminate()
    try:
        assert process.wait(120) == 0, log.read_text()[-3000:]
    finally:
        process.kill()


@pytest.fixture
def kubernetes(control_plane: Cluster, namespace: str, operator: subprocess.Popen[bytes]) -> Kubernetes:
    """A fresh namespace that the operator watches."""
    return Kubernetes(control_plane, namespace)
