"""The operator as users get it: built into an image, installed with Helm, on a node that runs real memcached."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from rich.console import Console

from demo_images import build_images
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import KubectlError
from kopf_sdk.testing.cluster.progress import ConsoleProgress
from memcached_demo import Demo
from waiting import eventually


class Cache:
    """One Memcached resource with running pods."""

    def __init__(self, cluster: Cluster, namespace: str, name: str = "cache") -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name

    def apply(self, **spec: Any) -> None:
        manifest = {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }
        self.cluster.apply(yaml.safe_dump(manifest))

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def resource(self) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", "memcached", self.name, "-o", "json")))

    def condition(self, kind: str) -> dict[str, Any]:
        return _condition(self.resource(), kind)

    def settle(self, within: float = 180.0) -> None:
        """Wait until every pod runs what the resource asks for."""

        def settled() -> bool:
            resource = self.resource()
            seen = resource.get("status", {}).get("observedGeneration") == resource["metadata"]["generation"]
            return bool(seen) and _condition(resource, "Progressing")["reason"] == "UpToDate"

        eventually(settled, within=within)

    def pods(self) -> dict[str, dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/managed-by=memcached-operator"
        items = json.loads(self.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def ask(self, text: str, *, pod: str = "", host: str = "127.0.0.1", port: int = 11211) -> list[str]:
        """Send lines of memcached's text protocol from inside a pod and return the lines of the answer.

        Names and Services follow the readiness of their pods a moment later: until one can be connected to, it is tried
        again.
        """
        script = f"printf '%s\\r\\nquit\\r\\n' \"$0\" | nc -w 30 {host} {port}"
        command = ("exec", pod or f"{self.name}-0", "-c", "memcached", "--", "sh", "-c", script, text)
        end = time.monotonic() + (0 if host == "127.0.0.1" else 60)
        while True:
            try:
                answer = self.kubectl(*command)
            except KubectlError as error:
                if "nc: " not in error.message or time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                return [line.rstrip("\r") for line in answer.splitlines()]

    def settings(self, pod: str = "") -> dict[str, str]:
        """Return what memcached says it runs with (`stats settings`)."""
        lines = self.ask("stats settings", pod=pod)
        return dict(line.split(" ", 2)[1:] for line in lines if line.startswith("STAT "))


def _condition(resource: dict[str, Any], kind: str) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = resource.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == kind), {"status": "", "reason": ""})


@pytest.fixture(scope="session")
def installed(node_cluster: Cluster) -> Demo:
    """The chart, installed in the node cluster with images made on this machine."""
    console = Console(stderr=True)
    images = build_images(ConsoleProgress(console))
    node_cluster.load_images(images.archives)
    demo = Demo(node_cluster, console)
    demo.install(images)
    return demo


@pytest.fixture
def cache(installed: Demo, node_cluster: Cluster, node_namespace: str) -> Cache:
    """A resource of one's own in a fresh namespace; the test applies it."""
    return Cache(node_cluster, node_namespace)
