"""TLS and users, looked at through a handshake and a login; both change in place, without a restart."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.operator.certificates import Authority, serial, serial_of
from e2e.operator.conftest import Cache
from kopf_sdk.testing.images import base_image, reference
from memcached_operator.wire import Connection, Login, LoginRefusedError, WireError, connect
from waiting import eventually

pytestmark = pytest.mark.node

SERVER = "cache.example"
LIVENESS_SECONDS = 150.0
"""Longer than it takes until the kubelet ends a memcached that does not answer."""


def put_secret(cache: Cache, name: str, data: dict[str, str], kind: str = "Opaque") -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": cache.namespace},
        "type": kind,
        "stringData": data,
    }
    # Replaced, not merged: a key that is left out is gone. And in place, as cert-manager does.
    found = cache.kubectl("get", "secret", name, "--ignore-not-found", "--output", "name")
    cache.cluster.kubectl("replace" if found else "create", "--filename", "-", input=yaml.safe_dump(manifest))


def dial(cache: Cache, port: int = 11211, **options: Any) -> Any:
    """Connect from the host to the first pod."""
    host, _, published = cache.cluster.publish(cache.pods()["cache-0"]["status"]["podIP"], port).partition(":")
    options.setdefault("timeout", 30.0)
    if "tls" in options:
        options.setdefault("server_name", SERVER)
    return connect(host, int(published), **options)


async def version(connection: Any) -> str:
    opened: Connection
    async with connection as opened:
        return await opened.version()


async def served_serial(connection: Any) -> int:
    opened: Connection
    async with connection as opened:
        return serial(opened.certificate)


def restarts(cache: Cache) -> list[tuple[str, int]]:
    return [
        (pod["metadata"]["uid"], sum(c["restartCount"] for c in pod["status"]["containerStatuses"]))
        for pod in cache.pods().values()
    ]


def rotated(cache: Cache, words: str) -> None:
    """Wait until the operator says in these words that a rotation is over; it says so of one only that it saw begin."""
    eventually(lambda: any(words in note for note in notes(cache, "Rotated")))
    eventually(lambda: cache.condition("Progressing")["reason"] == "UpToDate")
    assert cache.condition("Degraded")["status"] == "False"


def notes(cache: Cache, reason: str) -> list[str]:
    """Return what events with this reason say."""
    items = cache.cluster.get("events.events.k8s.io", "-n", cache.namespace)["items"]
    return [item["note"] for item in items if item["reason"] == reason]


async def test_tls_on_the_only_port_and_a_new_certificate_without_a_restart(cache: Cache) -> None:
    authority = Authority()
    first, second = authority.issue(SERVER), authority.issue(SERVER)
    put_secret(cache, "certificate", first, "kubernetes.io/tls")
    cache.apply(tls={"secretName": "certificate"})
    await asyncio.to_thread(cache.settle)
    assert (await version(dial(cache, tls=authority.context()))).startswith("1.6.")
    assert await served_serial(dial(cache, tls=authority.context())) == serial_of(first)
    assert cache.resource()["status"]["version"], "the operator could not ask over TLS"
    with pytest.raises(WireError):
        await version(dial(cache))

    before = restarts(cache)
    async with dial(cache, tls=authority.context()) as open_before:
        assert await open_before.command("set kept 0 0 2\r\nok") == "STORED"
        put_secret(cache, "certificate", second, "kubernetes.io/tls")
        await asyncio.to_thread(rotated, cache, f"serves the certificate with serial {serial_of(second):x}")
        assert await served_serial(dial(cache, tls=authority.context())) == serial_of(second)
        assert await open_before.version(), "an open connection was dropped"
        assert int((await open_before.stats())["curr_items"]) == 1
    assert restarts(cache) == before


async def test_a_plain_port_beside_tls_and_client_certificates(cache: Cache, tmp_path: Path) -> None:
    authority = Authority()
    put_secret(cache, "certificate", authority.issue(SERVER), "kubernetes.io/tls")
    put_secret(cache, "operator-certificate", authority.issue("operator"), "kubernetes.io/tls")
    cache.apply(
        tls={
            "secretName": "certificate",
            "clientCertificates": "require",
            "operatorSecretName": "operator-certificate",
            "plainPort": True,
            "port": 11299,
        }
    )
    await asyncio.to_thread(cache.settle)
    assert await version(dial(cache))
    # TLS 1.3 lets a client believe in the handshake before the server has seen its certificate.
    anonymous = authority.context()
    anonymous.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(WireError):
        await version(dial(cache, 11299, tls=anonymous))
    assert await version(dial(cache, 11299, tls=authority.context(authority.issue("client"), tmp_path)))
    ports = cache.cluster.get("service", "cache", "-n", cache.namespace)["spec"]["ports"]
    assert {port["name"]: port["port"] for port in ports} == {"memcache": 11211, "memcache-tls": 11299}


async def test_users_log_in_and_change_without_a_restart(cache: Cache) -> None:
    put_secret(cache, "users", {"alice": "a%s\\$1", "bob": "b"})
    cache.apply(auth={"secretName": "users"})
    await asyncio.to_thread(cache.settle)
    alice, bob, carol = Login("alice", "a%s\\$1"), Login("bob", "b"), Login("carol", "c")
    assert await version(dial(cache, login=alice))
    assert cache.resource()["status"]["version"], "the operator could not log in"
    with pytest.raises(LoginRefusedError):
        await version(dial(cache, login=Login("alice", "wrong")))
    with pytest.raises(WireError):
        await version(dial(cache))

    before = restarts(cache)
    put_secret(cache, "users", {"bob": "b", "carol": "c"})

    async def accepts(login: Login) -> bool:
        try:
            return bool(await version(dial(cache, login=login)))
        except LoginRefusedError:
            return False

    until = asyncio.create_task(
        asyncio.to_thread(rotated, cache, "accepts operator, bob, carol and refuses what alice")
    )
    while not until.done():
        assert await accepts(bob), "an undisturbed user was locked out"
        await asyncio.sleep(1)
    await until
    assert await accepts(carol)
    assert not await accepts(alice)
    assert restarts(cache) == before
    secret = cache.cluster.get("secret", "cache-auth", "-n", cache.namespace)
    assert set(secret["data"]) == {"users"}, "who may not log in any more is kept longer than it takes to see it"


@pytest.mark.full
async def test_memcached_before_1_6_40_serves_new_certificates_and_is_made_anew_for_new_users(cache: Cache) -> None:
    name = "memcached-trixie"
    cache.cluster.load_images([base_image(name)])
    authority = Authority()
    put_secret(cache, "certificate", authority.issue(SERVER), "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(image=reference(name), tls={"secretName": "certificate"}, auth={"secretName": "users"})
    await asyncio.to_thread(cache.settle)
    before = restarts(cache)
    second = authority.issue(SERVER)
    put_secret(cache, "certificate", second, "kubernetes.io/tls")
    await asyncio.to_thread(rotated, cache, f"serves the certificate with serial {serial_of(second):x}")
    assert await served_serial(dial(cache, tls=authority.context())) == serial_of(second)
    assert restarts(cache) == before

    put_secret(cache, "users", {"alice": "a", "bob": "b"})
    await asyncio.to_thread(rotated, cache, "accepts operator, alice, bob")
    assert await version(dial(cache, tls=authority.context(), login=Login("bob", "b"))) == "1.6.38"
    assert restarts(cache) != before
    assert any("1.6.38 reads changed users only when it starts" in note for note in notes(cache, "PodReplaced"))


@pytest.mark.full
async def test_an_operators_login_that_is_deleted_or_edited_ends_no_memcached(cache: Cache) -> None:
    """memcached 1.6.45 hangs up on a login that it does not know: a probe that takes this for death loses the cache."""
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(auth={"secretName": "users"})
    await asyncio.to_thread(cache.settle)
    before = restarts(cache)
    async with dial(cache, login=Login("alice", "a")) as alice:
        assert await alice.command("set kept 0 0 2\r\nok") == "STORED"
        cache.kubectl("delete", "secret", "cache-operator")
        eventually(lambda: cache.kubectl("get", "secret", "cache-operator", "--ignore-not-found", "--output", "name"))
        by_hand = json.dumps({"stringData": {"password": "by-hand"}})
        cache.kubectl("patch", "secret", "cache-operator", "--type=merge", f"--patch={by_hand}")
        end = time.monotonic() + LIVENESS_SECONDS
        while time.monotonic() < end:
            assert restarts(cache) == before
            await asyncio.sleep(5)
        assert int((await alice.stats())["curr_items"]) == 1
    await asyncio.to_thread(cache.settle)
    assert restarts(cache) == before
    assert cache.condition("Degraded")["status"] == "False"


def test_a_missing_secret_is_named_and_its_arrival_noticed(cache: Cache) -> None:
    cache.apply(auth={"secretName": "users"}, tls={"secretName": "certificate"})
    eventually(lambda: cache.condition("Degraded")["reason"] == "SecretMissing")
    message = cache.condition("Degraded")["message"]
    assert "Secret users does not exist" in message
    assert "Secret certificate does not exist" in message
    put_secret(cache, "certificate", Authority().issue(SERVER), "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a"})
    eventually(lambda: cache.condition("Degraded")["status"] == "False")
    cache.settle()


def test_users_that_memcached_cannot_take_are_named_and_the_old_ones_stay(cache: Cache) -> None:
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(auth={"secretName": "users"})
    cache.settle()
    put_secret(cache, "users", {f"user{number}": "x" for number in range(8)})
    eventually(lambda: cache.condition("Degraded")["reason"] == "SecretInvalid")
    assert "8 users" in cache.condition("Degraded")["message"]
    assert asyncio.run(version(dial(cache, login=Login("alice", "a"))))


def test_pods_work_as_whatever_user_openshift_gives_them(cache: Cache) -> None:
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(auth={"secretName": "users"}, metrics={"enabled": True})
    eventually(lambda: "cache-0" in cache.pods())
    template = cache.cluster.get("statefulset", "cache", "-n", cache.namespace)["spec"]["template"]
    chosen = {"runAsUser": 1000690000, "runAsGroup": 0, "fsGroup": 1000690000}
    spec = template["spec"] | {"securityContext": template["spec"]["securityContext"] | chosen}
    metadata = template["metadata"] | {"name": "as-openshift", "namespace": cache.namespace, "labels": {}}
    cache.cluster.apply(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    cache.kubectl("wait", "--for=condition=Ready", "pod/as-openshift", "--timeout=120s")
    assert cache.kubectl("exec", "as-openshift", "-c", "memcached", "--", "id", "-u").strip() == "1000690000"
    statuses = cache.cluster.get("pod", "as-openshift", "-n", cache.namespace)["status"]["containerStatuses"]
    assert {status["name"]: status["restartCount"] for status in statuses} == {"memcached": 0, "exporter": 0}
