"""The two caches of the drill: one that the operator looks after, and one as operator-sdk's sample makes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import yaml

from demo_images import ROOT
from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import KubectlError
from kopf_sdk.testing.cluster.pki import Authority

__all__ = ["Application", "OperatedCache", "SampleCache", "Side", "eventually"]

T = TypeVar("T")
DEADLINE = 300.0
"""Seconds until what should happen has happened; the longest takes about 60."""
PORT = 11211


def eventually(question: Callable[[], T], what: str) -> T:
    """Ask until the answer is true, and return it. Raises SdkError when it never is."""
    end = time.monotonic() + DEADLINE
    while not (answer := question()):
        if time.monotonic() > end:
            raise SdkError(f"waited {DEADLINE:.0f} s in vain until {what}")
        time.sleep(0.1)
    return answer


class Application:
    """The client in its pod (`drill_client`).

    Parameters
    ----------
    image
        Has Python: the operator's own.
    items
        How many it counts.
    """

    def __init__(self, cluster: Cluster, namespace: str, image: str, items: int) -> None:
        self._cluster, self._namespace, self._image, self._items = cluster, namespace, image, items

    def start(self) -> None:
        """Make the pod and wait until it answers."""
        script = (ROOT / "demo" / "drill_client.py").read_text()
        metadata = {"name": "application", "namespace": self._namespace}
        pod = {
            "containers": [
                {
                    "name": "application",
                    "image": self._image,
                    "command": ["python3", "/drill/drill_client.py", "serve", str(self._items)],
                    "volumeMounts": [{"name": "drill", "mountPath": "/drill"}],
                }
            ],
            "volumes": [{"name": "drill", "configMap": {"name": "application"}}],
            "terminationGracePeriodSeconds": 1,
        }
        objects = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"drill_client.py": script}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
        ]
        self._cluster.apply(yaml.safe_dump_all(objects))
        self._cluster.kubectl(
            "-n", self._namespace, "wait", "--for=condition=Ready", "pod/application", "--timeout=120s"
        )
        eventually(self._answers, "the application answers")

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Ask it something. Raises SdkError with its words when it could not do that."""
        question = json.dumps({"do": do, **more})
        command = ["python3", "/drill/drill_client.py", "ask", question]
        answer = self._cluster.kubectl("-n", self._namespace, "exec", "application", "--", *command)
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise SdkError(f"the drill's application, asked to {do}: {found['error']}")
        return found

    def _answers(self) -> bool:
        try:
            self.ask("tally_up")
        except (KubectlError, ValueError):
            return False
        return True


class Side(Protocol):
    """A cache, and the pods that it is made of."""

    application: Application

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the pods by name."""


class _Cache:
    """What both have in common."""

    selector = ""

    def __init__(self, cluster: Cluster, namespace: str, image: str, items: int) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.application = Application(cluster, namespace, image, items)

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the pods by name."""
        items = self.read("/api/v1", f"pods?labelSelector={quote(self.selector)}")["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def read(self, api: str, what: str) -> dict[str, Any]:
        """Return an object or a list of the namespace, without the price of starting kubectl."""
        code, answer = self.cluster.api.get(f"{api}/namespaces/{self.namespace}/{what}")
        if code != 200:
            raise SdkError(f"{what}: {answer.get('message')}")
        return dict(answer)

    def evict(self, name: str) -> None:
        """Do to a pod what `kubectl drain` does."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self.namespace},
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/eviction"
        code, answer = self.cluster.api.request("POST", path, eviction)
        if code != 201:
            raise SdkError(f"pod {name} is not evicted: {answer.get('message')}")

    def put_secret(self, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
        """Have a Secret with this content and nothing else."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "type": kind,
            "stringData": data,
        }
        replacing = self.cluster.get("secrets", "-n", self.namespace, f"--field-selector=metadata.name={name}")["items"]
        self.cluster.kubectl("replace" if replacing else "create", "-f", "-", input=json.dumps(manifest))


class OperatedCache(_Cache):
    """A Memcached with TLS, users and metrics."""

    name = "drill"
    selector = "app.kubernetes.io/instance=drill,app.kubernetes.io/name=memcached"

    def __init__(self, cluster: Cluster, namespace: str, image: str, items: int) -> None:
        super().__init__(cluster, namespace, image, items)
        self._authority = Authority("authority of the drill")

    def create(self, **spec: Any) -> None:
        """Make the Secrets and the resource, and let the application use it."""
        self.new_certificate()
        self.users(alice="wonderland")
        given = {"tls": {"secretName": "certificate"}, "auth": {"secretName": "users"}, "metrics": {"enabled": True}}
        manifest = {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": given | spec,
        }
        self.cluster.apply(yaml.safe_dump(manifest))
        self.settle()
        self.application.start()
        ca = self._authority.pair.certificate.decode()
        self.application.ask("configure", servers=self.servers(), login="alice wonderland", ca=ca)

    def new_certificate(self) -> None:
        """Put another certificate of the same authority into the Secret."""
        hosts = [f"*.{self.name}-nodes.{self.namespace}.svc", f"{self.name}.{self.namespace}.svc"]
        pair = self._authority.server(self.name, hosts)
        ca = self._authority.pair.certificate.decode()
        data = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode(), "ca.crt": ca}
        self.put_secret("certificate", data, "kubernetes.io/tls")

    def users(self, **passwords: str) -> None:
        """Let these users in, and nobody else."""
        self.put_secret("users", passwords)

    def resource(self) -> dict[str, Any]:
        return self.read("/apis/cache.example.com/v1alpha1", f"memcacheds/{self.name}")

    def servers(self) -> list[str]:
        return list(self.resource()["status"]["servers"])

    def change(self, **spec: Any) -> None:
        """Patch the resource and wait until every pod is as it asks."""
        self.kubectl("patch", "memcached", self.name, "--type=merge", "--patch", json.dumps({"spec": spec}))
        self.settle()

    def condition(self, kind: str) -> dict[str, Any]:
        conditions = self.resource().get("status", {}).get("conditions", [])
        return next((dict(condition) for condition in conditions if condition["type"] == kind), {})

    def settle(self) -> None:
        """Wait until the status says, of the newest generation, that all is as it should be."""

        def settled() -> bool:
            resource = self.resource()
            status = resource.get("status", {})
            reasons = {found["type"]: found["reason"] for found in status.get("conditions", [])}
            newest = status.get("observedGeneration") == resource["metadata"]["generation"]
            return newest and reasons.get("Progressing") == "UpToDate" and reasons.get("Degraded") == "AsExpected"

        eventually(settled, f"{self.name} is up to date; it says: {self.condition('Progressing').get('message')}")

    def notes(self, *reasons: str) -> list[str]:
        """Return what the resource's events with these reasons say."""
        found = self.read("/apis/events.k8s.io/v1", "events")["items"]
        return [str(event["note"]) for event in found if event["reason"] in reasons]

    @contextmanager
    def rotation(self) -> Iterator[None]:
        """Wait, at the end of the block, until the operator has seen all pods with what was changed in it."""
        before = len(self.notes("Rotated"))
        yield
        eventually(lambda: len(self.notes("Rotated")) > before, "the rotation is seen to be done")
        self.settle()


class SampleCache(_Cache):
    """A Deployment as operator-sdk's Go sample makes it, and what people add to reach its pods."""

    name = "sample"
    selector = "app.kubernetes.io/name=memcached-operator,app.kubernetes.io/instance=sample"

    def create(self, image: str) -> None:
        """Make the Deployment and a headless Service (the sample has none), and let the application use it."""
        labels = dict(word.split("=") for word in self.selector.split(","))
        container = {
            "name": "memcached",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": self.arguments(64),
            "ports": [{"containerPort": PORT, "name": "memcached"}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1001,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        template = {"metadata": {"labels": labels}, "spec": {"securityContext": security, "containers": [container]}}
        metadata = {"name": self.name, "namespace": self.namespace}
        objects = [
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": PORT}]},
            },
        ]
        self.cluster.apply(yaml.safe_dump_all(objects))
        self.settle()
        self.application.start()
        self.application.ask("configure", discover=f"{self.name}.{self.namespace}.svc:{PORT}")

    @staticmethod
    def arguments(mebibytes: int, threads: int = 4) -> list[str]:
        """Return the sample's command."""
        return ["memcached", f"--memory-limit={mebibytes}", "-o", "modern", "-v", f"--threads={threads}"]

    def edit(self, **container: Any) -> None:
        """Change the container by hand."""
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "memcached", **container}]}}}}
        self.kubectl("patch", "deployment", self.name, "--patch", json.dumps(patch))
        self.settle()

    def restart(self) -> None:
        """Have all pods anew: the way in which a changed Secret takes effect."""
        self.kubectl("rollout", "restart", f"deployment/{self.name}")
        self.settle()

    def scale(self, size: int) -> None:
        self.kubectl("scale", f"deployment/{self.name}", f"--replicas={size}")
        self.settle()

    def settle(self) -> None:
        """Wait until all pods are new and serve, and those before them are gone."""
        self.kubectl("rollout", "status", f"deployment/{self.name}", "--timeout=180s")
        size = self.cluster.get("deployment", self.name, "-n", self.namespace)["spec"]["replicas"]
        eventually(lambda: len(self.pods()) == size, "the pods of before are gone")
