"""A node that runs real pods, as tests of operators use it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.kubectl import KubectlError
from kopf_sdk.testing.cluster.traces import Traces
from kopf_sdk.testing.tools import binary
from waiting import eventually

pytestmark = pytest.mark.node

_WEB = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 2
  serviceName: web-nodes
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: localhost/busybox:1
        command: [sh, -c, "mkdir -p /tmp/www; echo $HOSTNAME > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
        readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
        resources: {requests: {memory: 16Mi}, limits: {memory: 64Mi, cpu: 200m}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-nodes}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
"""


def _answers(cluster: Cluster, url: str) -> bool:
    try:
        return bool(cluster.kubectl("-n", "web", "exec", "web-0", "--", "wget", "-qO-", url))
    except KubectlError:
        return False


@pytest.fixture(scope="module")
def web(node_cluster: Cluster, busybox: Path) -> Iterator[str]:
    """Namespace of two web servers behind a Service and a headless one."""
    node_cluster.load_images([busybox])
    node_cluster.create_namespace("web")
    node_cluster.kubectl("-n", "web", "apply", "-f", "-", input=_WEB)
    node_cluster.kubectl("-n", "web", "rollout", "status", "statefulset/web", "--timeout=120s")
    # Names and Services follow the readiness of their pods a moment later.
    for server in ("web/", "web-0.web-nodes:8080/", "web-1.web-nodes:8080/"):
        eventually(lambda server=server: _answers(node_cluster, f"http://{server}"))  # type: ignore[misc]
    yield "web"
    node_cluster.api.delete("/api/v1/namespaces/web")


def test_images_are_named_and_can_be_tagged_by_digest(
    node_cluster: Cluster, busybox: Path, node_namespace: str
) -> None:
    [(name, digest)] = node_cluster.load_images([busybox]).items()
    assert name == "localhost/busybox:1"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", digest)
    by_digest = f"localhost/busybox@{digest}"
    node_cluster.tag_image(name, by_digest)
    node_cluster.kubectl(
        "-n", node_namespace, "run", "one", f"--image={by_digest}", "--restart=Never", "--", "echo", "from a digest"
    )
    wait = "--for=jsonpath={.status.phase}=Succeeded"
    node_cluster.kubectl("-n", node_namespace, "wait", wait, "pod/one", "--timeout=120s")
    assert node_cluster.kubectl("-n", node_namespace, "logs", "one") == "from a digest\n"


def test_a_service_answers_by_its_name(node_cluster: Cluster, web: str) -> None:
    command = ("-n", web, "exec", "web-0", "--", "wget", "-qO-")
    assert node_cluster.kubectl(*command, f"http://web.{web}.svc.cluster.local/") in ("web-0\n", "web-1\n")
    assert node_cluster.kubectl(*command, "http://web/") in ("web-0\n", "web-1\n")


def test_pods_have_stable_names(node_cluster: Cluster, web: str) -> None:
    url = f"http://web-1.web-nodes.{web}.svc.cluster.local:8080/"
    assert node_cluster.kubectl("-n", web, "exec", "web-0", "--", "wget", "-qO-", url) == "web-1\n"


def test_a_pod_reaches_the_api_server_with_its_token(node_cluster: Cluster, web: str) -> None:
    script = """
cd /var/run/secrets/kubernetes.io/serviceaccount
wget -qO- --header "Authorization: Bearer $(cat token)" https://kubernetes.default.svc.cluster.local/api
"""
    answer = node_cluster.kubectl("-n", web, "exec", "web-0", "--", "sh", "-c", script)
    assert json.loads(answer)["kind"] == "APIVersions"


def test_a_port_is_forwarded(node_cluster: Cluster, web: str) -> None:
    command = [str(binary("kubectl")), "--kubeconfig", str(node_cluster.kubeconfig), "-n", web]
    with subprocess.Popen(
        [*command, "port-forward", "pod/web-0", ":8080"], stdout=subprocess.PIPE, text=True
    ) as forward:
        assert forward.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert port is not None
        with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=60) as answer:
            assert answer.read() == b"web-0\n"
        forward.terminate()


def test_the_host_reaches_a_cluster_ip(node_cluster: Cluster, web: str) -> None:
    address = node_cluster.publish(node_cluster.get("-n", web, "service", "web")["spec"]["clusterIP"], 80)
    with urllib.request.urlopen(f"http://{address}/", timeout=60) as answer:
        assert answer.read() in (b"web-0\n", b"web-1\n")


def test_a_deleted_pod_comes_back(node_cluster: Cluster, web: str) -> None:
    before = node_cluster.get("-n", web, "pod", "web-1")["metadata"]["uid"]
    node_cluster.kubectl("-n", web, "delete", "pod", "web-1")

    def ready() -> bool:
        """Whether another pod serves; for a moment there is none, and the StatefulSet still counts the old one."""
        pods = node_cluster.get("-n", web, "pods", "-l", "app=web")["items"]
        return any(
            (pod["metadata"]["name"], condition["type"], condition["status"]) == ("web-1", "Ready", "True")
            and pod["metadata"]["uid"] != before
            for pod in pods
            for condition in pod["status"].get("conditions", ())
        )

    eventually(ready)


def test_memory_grows_in_place(node_cluster: Cluster, web: str) -> None:
    def limit() -> str:
        path = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
        script = f"cat {path} 2>/dev/null || cat /sys/fs/cgroup/memory.max"
        return node_cluster.kubectl("-n", web, "exec", "web-0", "--", "sh", "-c", script).strip()

    assert limit() == str(64 << 20)
    patch = '{"spec":{"containers":[{"name":"web","resources":{"limits":{"memory":"96Mi"}}}]}}'
    node_cluster.kubectl("-n", web, "patch", "pod", "web-0", "--subresource=resize", "-p", patch)
    eventually(lambda: limit() == str(96 << 20))
    [status] = node_cluster.get("-n", web, "pod", "web-0")["status"]["containerStatuses"]
    assert status["restartCount"] == 0


def test_a_killed_kubelet_is_started_again_and_the_pods_live_on(node_cluster: Cluster, web: str) -> None:
    before = node_cluster.get("-n", web, "pod", "web-0")["status"]["containerStatuses"][0]["containerID"]
    os.kill(node_cluster.process("kubelet"), signal.SIGKILL)
    eventually(lambda: node_cluster.status().state == "degraded")
    assert node_cluster.up(Size.NODE) is True
    assert node_cluster.status().state == "ready"
    assert node_cluster.get("-n", web, "pod", "web-0")["status"]["containerStatuses"][0]["containerID"] == before


def test_nothing_is_left_after_containerd_and_the_kubelet_were_killed(
    busybox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path))
    cluster = Cluster("killed")
    traces = Traces(cluster.layout)
    try:
        cluster.up(Size.NODE)
        traces.remember()
        cluster.load_images([busybox])
        cluster.kubectl("run", "one", "--image=localhost/busybox:1", "--", "sleep", "1000")
        cluster.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=120s")
        pods = [line for line in traces.left() if "sleep 1000" in line]
        assert pods
        for component in ("kubelet", "containerd", "kube-proxy"):
            os.kill(cluster.process(component), signal.SIGKILL)
    finally:
        started = time.monotonic()
        cluster.down()
    assert time.monotonic() - started < 30
    assert traces.left() == []
