"""A control plane as tests of controllers use it."""

from __future__ import annotations

import base64
import http.server
import json
import signal
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest

import audit
from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.kubectl import KubectlError
from kopf_sdk.testing.cluster.pki import Authority


def _eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def test_objects_are_made_read_and_deleted(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "one", "--from-literal=a=1")
    assert control_plane.get("-n", namespace, "configmap", "one")["data"] == {"a": "1"}

    control_plane.kubectl("-n", namespace, "delete", "configmap", "one")
    with pytest.raises(KubectlError, match="NotFound"):
        control_plane.get("-n", namespace, "configmap", "one")


def test_controllers_make_pods_and_collect_orphans(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=none", "--replicas=2")
    _eventually(lambda: len(control_plane.get("-n", namespace, "pods")["items"]) == 2)
    assert {p["status"]["phase"] for p in control_plane.get("-n", namespace, "pods")["items"]} == {"Pending"}

    control_plane.kubectl("-n", namespace, "delete", "deployment", "web")
    _eventually(lambda: not control_plane.get("-n", namespace, "pods,replicasets")["items"])


def test_a_namespace_goes_with_what_is_in_it(control_plane: Cluster) -> None:
    control_plane.create_namespace("short-lived")
    control_plane.kubectl("-n", "short-lived", "create", "configmap", "one")
    control_plane.kubectl("delete", "namespace", "short-lived", "--timeout=240s")
    with pytest.raises(KubectlError, match="NotFound"):
        control_plane.get("namespace", "short-lived")


def test_service_accounts_get_tokens_that_the_api_server_takes(control_plane: Cluster, namespace: str) -> None:
    token = control_plane.kubectl("-n", namespace, "create", "token", "default").strip()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = control_plane.api.create("/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:default"


def test_requests_are_in_the_audit_log(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "audited")
    [event] = [
        event
        for event in audit.events(control_plane.audit_log)
        if event["user"]["username"] == "kubernetes-admin" and f"/{namespace}/configmaps" in event["requestURI"]
    ]
    assert (event["level"], event["verb"]) == ("Metadata", "create")


class _Deny(http.server.BaseHTTPRequestHandler):
    """An admission webhook that refuses everything."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        verdict = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": "not on my watch"}}
        answer = json.dumps(review | {"response": verdict}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        pass


def test_a_webhook_on_the_hosts_loopback_is_called(control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
    authority = Authority("webhooks")
    pair = authority.server("webhook", [control_plane.expose_host_ip])
    (tmp_path / "tls.pem").write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Deny)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = control_plane.expose_host(server.server_port)
    assert control_plane.expose_host(server.server_port) == address
    webhook = {
        "name": "deny.example.com",
        "clientConfig": {
            "url": f"https://{address}/validate",
            "caBundle": base64.b64encode(authority.pair.certificate).decode(),
        },
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    control_plane.api.create(path, {"metadata": {"name": namespace}, "webhooks": [webhook]})

    def verdict() -> str:
        made = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"
        code, answer = control_plane.api.request("POST", made, {"metadata": {"name": "refused"}})
        return "" if code == HTTPStatus.CREATED else str(answer["message"])

    try:
        # The API server needs a moment to see the configuration.
        _eventually(lambda: verdict() != "")
        assert "not on my watch" in verdict()
    finally:
        control_plane.api.delete(f"{path}/{namespace}")
        server.shutdown()
        server.server_close()


def test_the_host_reaches_an_address_inside(control_plane: Cluster) -> None:
    """etcd's metrics are on the cluster's loopback, which is not the host's."""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", 2379), timeout=1).close()
    with urllib.request.urlopen(f"http://{control_plane.publish('127.0.0.1', 2379)}/health", timeout=60) as answer:
        assert json.load(answer)["health"] == "true"


def test_a_frozen_api_server_is_seen_and_goes_on(control_plane: Cluster) -> None:
    control_plane.signal("kube-apiserver", signal.SIGSTOP)
    try:
        status = control_plane.status()
        assert status.state == "degraded"
        assert {c.name: c.state for c in status.components}["kube-apiserver"] == "stopped"
    finally:
        control_plane.signal("kube-apiserver", signal.SIGCONT)
    _eventually(lambda: control_plane.status().state == "ready")


def test_a_restarted_api_server_has_its_data(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("-n", namespace, "create", "configmap", "kept")
    before = control_plane.process("kube-apiserver")
    control_plane.restart("kube-apiserver")
    assert control_plane.process("kube-apiserver") != before
    assert control_plane.get("-n", namespace, "configmap", "kept")


def test_a_component_is_restarted_with_more_flags_for_once(control_plane: Cluster) -> None:
    def flags() -> list[str]:
        return Path(f"/proc/{control_plane.process('kube-controller-manager')}/cmdline").read_text().split("\0")

    control_plane.restart("kube-controller-manager", "--kube-api-qps=20")
    assert flags()[-2:] == ["--kube-api-qps=20", ""]
    control_plane.restart("kube-controller-manager")
    assert "--kube-api-qps=20" not in flags()


def test_up_of_a_cluster_that_is_up_does_nothing(control_plane: Cluster) -> None:
    before = control_plane.process("init")
    started = time.monotonic()
    assert control_plane.up(Size.CONTROL_PLANE) is False
    assert time.monotonic() - started < 15
    assert control_plane.process("init") == before


def test_there_is_no_node_to_load_images_into(control_plane: Cluster, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has no node"):
        control_plane.load_images([tmp_path / "x.tar"])
