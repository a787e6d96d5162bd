"""Certificates that the operator makes for itself: an API server must reach the webhooks at every moment."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import json
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from integration.runtime.access import account, grant
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import certificates
from kopf_sdk.runtime.authority import Authority
from kopf_sdk.runtime.certificates import Certificate
from kopf_sdk.runtime.client import Client, Connection
from kopf_sdk.runtime.keys import Lifetimes
from kopf_sdk.runtime.permissions import PolicyRule
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually

LIFETIMES = Lifetimes(
    authority=dt.timedelta(seconds=48), certificate=dt.timedelta(seconds=40), overlap=dt.timedelta(seconds=5)
)
"""Certificate due after 27 s, CA after 32 s, replaced at about 42 s."""


async def allow(request: web.Request) -> web.Response:
    """Allow, and close the connection: every review is a TLS handshake with the certificate of the moment."""
    uid = (await request.json())["request"]["uid"]
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": uid, "allowed": True}}
    return web.json_response(body, headers={"Connection": "close"})


class Replica:
    """A webhook server with its authority, as the manager runs them; restarted without its memory and its files."""

    def __init__(self, cluster: Cluster, kubeconfig: Path, namespace: str, folder: Path, pause: float = 0.25) -> None:
        self._cluster, self._kubeconfig, self._namespace, self._folder = cluster, kubeconfig, namespace, folder
        self._pause = pause
        self._starts = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self._starts += 1
        directory = self._folder / str(self._starts)
        certificate = Certificate(directory)
        app = web.Application()
        app.router.add_post("/", allow)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        async with Client(await Connection.load(str(self._kubeconfig))) as client:
            authority = Authority(
                client,
                namespace=self._namespace,
                secret="authority",
                names=[self._cluster.expose_host_ip],
                configurations=[f"validatingwebhookconfigurations/{self._namespace}"],
                directory=directory,
                lifetimes=LIFETIMES,
            )
            keeping = asyncio.create_task(authority.run(pause=self._pause))
            await asyncio.wait_for(certificate.wait(), 120)
            reloading = asyncio.create_task(certificate.watch())
            site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=certificate.context, reuse_address=True)
            await site.start()
            self.port = runner.addresses[0][1]
            try:
                yield
            finally:
                await runner.cleanup()
                for task in (keeping, reloading):
                    task.cancel()
                await asyncio.gather(keeping, reloading, return_exceptions=True)


def webhook(name: str, address: str, namespace: str) -> dict[str, Any]:
    return {
        "name": f"{name}.authority.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 20,
        "clientConfig": {"url": f"https://{address}/"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
    }


def configuration(cluster: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        cluster.kubectl("get", "validatingwebhookconfiguration", name, "--output", "json")
    )
    return found


def trusted(cluster: Cluster, namespace: str) -> int:
    """Number of CAs in the Secret."""
    data = json.loads(cluster.kubectl("get", "secret", "authority", "-n", namespace, "--output", "json")).get("data")
    return base64.b64decode(data["ca.crt"]).count(b"BEGIN CERTIFICATE") if data else 0


@pytest.fixture
def kubeconfig(cluster: Cluster, namespace: str, tmp_path: Path) -> Path:
    """Credentials that may do what the chart grants in this mode, and nothing else; and the empty Secret."""
    path = account(cluster, namespace, "operator", tmp_path)
    secret = PolicyRule(("",), ("secrets",), ("get", "update"), ("authority",))
    own = PolicyRule(
        ("admissionregistration.k8s.io",), ("validatingwebhookconfigurations",), ("get", "patch"), (namespace,)
    )
    grant(cluster, (namespace, "operator"), "secret", [secret], namespace)
    grant(cluster, (namespace, "operator"), "configurations", [own])
    cluster.kubectl("create", "secret", "generic", "authority", "-n", namespace)
    return path


async def test_no_request_is_lost_while_ca_and_certificate_are_replaced_and_a_replica_restarts(
    cluster: Cluster, namespace: str, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "POLL_SECONDS", 0.25)
    # One that is quick, and one that takes a good part of the overlap; the rest is for a slow machine.
    replicas = [Replica(cluster, kubeconfig, namespace, tmp_path / str(pause), pause) for pause in (0.25, 1.5)]
    refused: list[str] = []
    reviewed = 0
    rotated = False
    over = threading.Event()

    def keep_asking() -> None:
        """Create an object, as everybody does, again and again; each replica has to allow it."""
        nonlocal reviewed
        path = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"
        while not over.is_set():
            try:
                cluster.api.create(path, {"metadata": {"name": "x"}})
                reviewed += 1
            except SdkError as error:
                refused.append(error.message)
            over.wait(0.02)

    async with contextlib.AsyncExitStack() as first, contextlib.AsyncExitStack() as second:
        await first.enter_async_context(replicas[0].running())
        await second.enter_async_context(replicas[1].running())
        addresses = [await asyncio.to_thread(cluster.expose_host, replica.port) for replica in replicas]
        manifest: dict[str, Any] = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": namespace},
            "webhooks": [webhook(name, address, namespace) for name, address in zip("ab", addresses, strict=True)],
        }
        try:
            await asyncio.to_thread(cluster.apply, json.dumps(manifest))
            await eventually(
                lambda: all(
                    "caBundle" in entry["clientConfig"] for entry in configuration(cluster, namespace)["webhooks"]
                )
            )
            await asyncio.sleep(1)  # the API server's own cache
            asking = asyncio.create_task(asyncio.to_thread(keep_asking))
            restarted = False
            deadline = asyncio.get_running_loop().time() + 240
            while not rotated and asyncio.get_running_loop().time() < deadline:
                await asyncio.sleep(0.2)
                count = await asyncio.to_thread(trusted, cluster, namespace)
                if count == 2 and not restarted:
                    # In the middle of the rotation: the other replica has to go on, this one to find its way back.
                    over.set()
                    await asking
                    await second.aclose()
                    await second.enter_async_context(replicas[1].running())
                    over.clear()
                    asking = asyncio.create_task(asyncio.to_thread(keep_asking))
                    restarted = True
                rotated = restarted and count == 1
            await asyncio.sleep(5)
            over.set()
            await asking
        finally:
            over.set()
            found = await asyncio.to_thread(configuration, cluster, namespace)
            cluster.kubectl("delete", "validatingwebhookconfiguration", namespace)
    assert rotated
    assert refused == []
    assert reviewed > 50
    for entry, was in zip(found["webhooks"], manifest["webhooks"], strict=True):
        bundle = entry["clientConfig"].pop("caBundle")
        assert base64.b64decode(bundle).count(b"BEGIN CERTIFICATE") == 1
        assert {key: entry[key] for key in was if key != "rules"} == {key: was[key] for key in was if key != "rules"}


async def test_an_emptied_secret_gets_back_what_is_in_use(
    cluster: Cluster, namespace: str, kubeconfig: Path, tmp_path: Path
) -> None:
    """As after `helm upgrade --force`, which replaces objects by their templates."""
    replica = Replica(cluster, kubeconfig, namespace, tmp_path / "a")
    async with replica.running():
        await eventually(trusted, cluster, namespace)
        before = json.loads(cluster.kubectl("get", "secret", "authority", "-n", namespace, "--output", "json"))["data"]
        cluster.kubectl(
            "patch", "secret", "authority", "-n", namespace, "--type=json", '-p=[{"op":"remove","path":"/data"}]'
        )
        await eventually(trusted, cluster, namespace)
        after = json.loads(cluster.kubectl("get", "secret", "authority", "-n", namespace, "--output", "json"))["data"]
    assert after == before
    certificate = (tmp_path / "a" / "1" / "tls.crt").read_text()
    assert base64.b64decode(after["tls.crt"]).decode() == certificate
    ssl.create_default_context(cadata=base64.b64decode(after["ca.crt"]).decode())
