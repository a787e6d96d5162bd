"""Metrics for those who may read them; webhooks that the API server calls; certificates that change."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integration.runtime.access import RULES, account, grant, grant_toy
from integration.runtime.conftest import Audit
from integration.runtime.test_controller import Make
from integration.runtime.toy import GROUP, Toy, controller
from kopf_sdk.runtime import Conversion, Defaulting, DeniedError, Manager, Manifest, Validating
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually, running
from ports import free_port


def write_certificate(folder: Path, name: str, *, address: str = "127.0.0.1") -> str:
    """Make a self-signed certificate as cert-manager would mount it; return it as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.crt").write_bytes(pem)
    return pem.decode()


async def served_name(port: int) -> str:
    """The common name of the certificate that a new connection gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    name = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0]
    return str(name.value)


async def test_metrics_ask_who_reads_them(cluster: Cluster, namespace: str, audit: Audit, tmp_path: Path) -> None:
    kubeconfig = account(cluster, namespace, "operator", tmp_path)
    grant_toy(cluster, (namespace, "operator"), [namespace])
    grant(cluster, (namespace, "operator"), "metrics", RULES.metrics_auth)
    cluster.kubectl("create", "clusterrole", namespace, "--verb=get", "--non-resource-url=/metrics")
    tokens = {}
    for reader in ("may", "may-not"):
        cluster.kubectl("create", "serviceaccount", reader, "-n", namespace)
        tokens[reader] = cluster.kubectl("create", "token", reader, "-n", namespace).strip()
    cluster.kubectl(
        "create", "clusterrolebinding", namespace, f"--clusterrole={namespace}", f"--serviceaccount={namespace}:may"
    )
    async with (
        running(kubeconfig, controller(), watch_namespaces=namespace, metrics_bind_address="127.0.0.1:0") as manager,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session,
    ):
        url = f"https://127.0.0.1:{manager.ports['metrics']}/metrics"

        async def read(token: str | None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.get(url, headers=headers) as response:
                return response.status, await response.text()

        assert (await read(None))[0] == 401
        assert (await read("nonsense"))[0] == 401
        assert (await read(tokens["may-not"]))[0] == 403
        audit.start()
        for _ in range(10):
            status, text = await read(tokens["may"])
            assert status == 200
        for name in (
            "controller_runtime_reconcile_total", "controller_runtime_reconcile_errors_total",
            "controller_runtime_reconcile_time_seconds_bucket", "workqueue_depth", "workqueue_adds_total",
            "workqueue_queue_duration_seconds_count", "workqueue_retries_total", "rest_client_requests_total",
            "leader_election_master_status", "kopf_sdk_watch_age_seconds",
        ):  # fmt: skip
            assert f"\n{name}{{" in text, name
        reviews = audit.requests(lambda e: "reviews" in e.get("objectRef", {}).get("resource", ""))
        assert len(reviews) == 2
    assert (
        audit.requests(
            lambda e: e["user"]["username"].endswith(f"{namespace}:operator") and e["responseStatus"]["code"] == 403
        )
        == []
    )


def default(manifest: Manifest) -> Manifest:
    if manifest["spec"]["size"] == 77:
        manifest["spec"]["text"] = "defaulted"
    return manifest


def validate(new: Toy | None, old: Toy | None) -> list[str]:
    if new is not None and new.spec.text == "forbidden":
        raise DeniedError("spec.text: this word is not allowed")
    return ["that is a lot"] if new is not None and new.spec.size > 100 else []


def convert(manifest: Manifest, version: str) -> Manifest:
    if "poison" in manifest["spec"]:
        raise DeniedError("spec.poison cannot be converted")
    return {**manifest, "spec": {**manifest["spec"], "converted": True}}


WEBHOOKS = (Defaulting(Toy, default), Validating(Toy, validate), Conversion(convert))


async def test_the_api_server_calls_the_webhooks(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    port = free_port()
    address = cluster.expose_host(port)
    pem = write_certificate(tmp_path / "certs", "webhook", address=address.rpartition(":")[0])

    def hook(path: str, kind: str) -> dict[str, Any]:
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": namespace},
            "webhooks": [
                {
                    "name": "toys.example.com",
                    "clientConfig": {
                        "url": f"https://{address}{path}",
                        "caBundle": base64.b64encode(pem.encode()).decode(),
                    },
                    "rules": [
                        {
                            "apiGroups": [GROUP],
                            "apiVersions": ["v1"],
                            "resources": ["toys"],
                            "operations": ["CREATE", "UPDATE"],
                        }
                    ],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                }
            ],
        }

    def create(name: str, **spec: Any) -> tuple[int, Any]:
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Toy", "metadata": {"name": name}, "spec": spec}
        return cluster.api.request("POST", f"/apis/{GROUP}/v1/namespaces/{namespace}/toys?fieldValidation=Ignore", body)

    async with running(
        cluster.kubeconfig,
        controller(),
        webhooks=WEBHOOKS,
        watch_namespaces=namespace,
        webhook_bind_address=f"127.0.0.1:{port}",
        webhook_cert_dir=str(tmp_path / "certs"),
    ):
        suffix = f"{GROUP.replace('.', '-')}-v1-toy"
        hooks = [
            hook(f"/mutate-{suffix}", "MutatingWebhookConfiguration"),
            hook(f"/validate-{suffix}", "ValidatingWebhookConfiguration"),
        ]
        cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": hooks}))
        try:
            # The API server reads the configurations a moment after they are made.
            names = iter(range(1000))
            await eventually(lambda: create(f"try-{next(names)}", text="forbidden", children=["Service"])[0] == 422)
            # Each in its own time.
            await eventually(
                lambda: create(f"try-{next(names)}", children=["Service"], size=77)[1]["spec"]["text"] == "defaulted"
            )
            code, answer = await asyncio.to_thread(create, "two", text="forbidden", children=["Service"])
            assert code == 422, answer
            assert "this word is not allowed" in answer["message"]
        finally:
            cluster.kubectl("delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", namespace)


async def test_webhooks_wait_for_their_certificate_and_take_a_new_one_without_dropping_connections(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    async with running(
        cluster.kubeconfig, controller(), webhooks=WEBHOOKS, watch_namespaces=namespace, webhook_cert_dir=str(folder)
    ) as manager:
        assert "webhook" not in manager.ports
        assert (await readyz(manager))[0] == 503
        write_certificate(folder, "first")
        await eventually(lambda: "webhook" in manager.ports)
        assert (await readyz(manager))[0] == 200
        port = manager.ports["webhook"]
        assert await served_name(port) == "first"
        made: list[int] = []
        trace = aiohttp.TraceConfig()

        async def count(*_: object) -> None:
            made.append(1)

        trace.on_connection_create_end.append(count)
        connector = aiohttp.TCPConnector(ssl=False, limit=1)
        async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as session:
            review = {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "ConversionReview",
                "request": {
                    "uid": "1",
                    "desiredAPIVersion": f"{GROUP}/v2",
                    "objects": [{"apiVersion": f"{GROUP}/v1", "kind": "Toy", "metadata": {"name": "x"}, "spec": {}}],
                },
            }

            async def ask() -> Any:
                async with session.post(f"https://127.0.0.1:{port}/convert", json=review) as response:
                    return await response.json()

            answer = await ask()
            assert answer["response"]["uid"] == "1"
            assert answer["response"]["convertedObjects"][0]["spec"] == {"converted": True}
            (folder / "tls.crt").write_text("half a certificate")
            await asyncio.sleep(3)
            assert await served_name(port) == "first"
            write_certificate(folder, "second")
            for _ in range(600):
                if await served_name(port) == "second":
                    break
                await asyncio.sleep(0.1)
            assert await served_name(port) == "second"
            assert await ask() == answer
            assert made == [1]
    async with running(
        cluster.kubeconfig,
        controller(),
        webhooks=WEBHOOKS,
        watch_namespaces=namespace,
        webhook_cert_dir=str(folder),
        enable_webhooks=False,
    ) as manager:
        assert "webhook" not in manager.ports
        assert (await readyz(manager))[0] == 200


async def readyz(manager: Manager) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{manager.ports['health']}/readyz?verbose") as response,
    ):
        return response.status, await response.text()


async def test_a_silent_watch_fails_the_liveness_probe(cluster: Cluster, namespace: str) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace) as manager:

        async def healthz() -> tuple[int, str]:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{manager.ports['health']}/healthz") as response,
            ):
                return response.status, await response.text()

        assert await healthz() == (200, "ok")
        manager.watches[0].touched -= 1000
        status, text = await healthz()
        assert status == 503
        assert "silent: toys" in text


async def test_events_are_counted_and_bounded(cluster: Cluster, namespace: str, toys: Make) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", children=["ConfigMap"], events=True)
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        (event,) = await eventually(lambda: [e for e in cluster.api.get(path)[1]["items"] if e["reason"] == "Created"])
        assert (event["regarding"]["kind"], event["regarding"]["name"], event["type"]) == ("Toy", "one", "Normal")
        assert event["reportingController"] == "toy-controller"
        for number in range(40):
            cluster.api.request(
                "PATCH",
                f"/api/v1/namespaces/{namespace}/configmaps/one",
                {"data": {"text": str(number)}},
                content_type="application/merge-patch+json",
            )
            await asyncio.sleep(0.02)
        await asyncio.sleep(2)
        events = [e for e in cluster.api.get(path)[1]["items"] if e["regarding"].get("name") == "one"]
        assert len(events) <= 26
