"""Items of a pod that must go are in its successor: counted and compared, while clients work, with real versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from e2e.operator.certificates import Authority
from e2e.operator.conftest import Cache
from e2e.operator.test_access import notes, put_secret
from integration.operator.test_transfer import Clients, fetch, fill
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import base_image, reference
from memcached_operator.handover.meta import Endpoint, Item
from memcached_operator.wire import Connection, Login, WireError, connect
from waiting import eventually

pytestmark = pytest.mark.node

HANDOVER: dict[str, Any] = {"warmRestart": {"enabled": True, "handover": True}}
ITEMS = 20_000
OPERATOR = ("--namespace", "demo-operator-system")


@pytest.fixture
def images(node_cluster: Cluster) -> dict[str, str]:
    """Images of memcached by version, in the node."""
    names = ("memcached-bookworm", "memcached-trixie")
    node_cluster.load_images([base_image(name) for name in names])
    return {reference(name).rpartition(":")[2]: reference(name) for name in names}


class Pod:
    """What has the name of a pod now, for clients on the host."""

    def __init__(self, cache: Cache, name: str, **options: Any) -> None:
        self._cache, self._name, self.options = cache, name, options

    def endpoint(self) -> Endpoint:
        code, pod = self._cache.cluster.api.get(f"/api/v1/namespaces/{self._cache.namespace}/pods/{self._name}")
        address = pod.get("status", {}).get("podIP") if code == 200 else None
        if not address:
            raise WireError("no pod")
        host, _, port = self._cache.cluster.publish(address, 11211).partition(":")
        return Endpoint(host, int(port), **self.options)

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Connection]:
        at = await asyncio.to_thread(self.endpoint)
        async with connect(at.host, at.port, tls=at.tls, login=at.login, timeout=2) as connection:
            yield connection


def items(pod: str) -> list[Item]:
    return [Item(f"{pod}-key-{number}".encode(), False, b"old-%d" % number, 0, None, 0) for number in range(ITEMS)]


ODD = [
    Item(b"flags", False, b"a\r\nb", 2**32 - 1, None, 0),
    Item(b"an hour", True, b"", 1, 3600, 0),
    Item(b"large", False, b"x" * 900_000, 7, 40 * 24 * 3600, 0),
]


async def worked(cache: Cache, pods: dict[str, Pod], change: Any, within: float) -> None:
    """Fill the pods, make the change while clients work with them, and compare what is there when it is done."""
    clients = {}
    for name, pod in pods.items():
        at = await asyncio.to_thread(pod.endpoint)
        await fill(at, items(name) + ODD)
        clients[name] = Clients(pod.dial)
        clients[name].stored(items(name))
    async with asyncio.timeout(within), asyncio.TaskGroup() as group:
        for client in clients.values():
            group.create_task(client.work())
        try:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(change)
            await asyncio.sleep(0.3)
        finally:
            for client in clients.values():
                client.stopping = True
    for name, pod in pods.items():
        at = await asyncio.to_thread(pod.endpoint)
        expected, there = clients[name].check(await fetch(at, [item.key for item in items(name)]))
        assert clients[name].operations > 300
        told = notes(cache, "HandedOver") + notes(cache, "HandoverFailed") + notes(cache, "PodReplaced")
        assert there >= 0.999 * expected, f"{name}: {there} of {expected}; {told}"
        odd = await fetch(at, [item.key for item in ODD])
        for item in ODD:
            found = odd[item.key]
            assert (found.value, found.flags, found.binary) == (item.value, item.flags, item.binary)
            assert found.ttl == item.ttl or (item.ttl and found.ttl and 0 <= item.ttl - found.ttl < within)


def begun(cache: Cache, name: str, before: str) -> None:
    eventually(lambda: cache.condition("Progressing")["reason"] == "HandingOver")
    eventually(lambda: cache.pods().get(name, {"metadata": {"uid": before}})["metadata"]["uid"] != before)


async def test_a_downgrade_that_no_memory_file_survives_keeps_the_items(cache: Cache, images: dict[str, str]) -> None:
    await asyncio.to_thread(cache.apply, image=images["1.6.38"], **HANDOVER)
    await asyncio.to_thread(cache.settle)
    before = cache.pods()["cache-0"]["metadata"]["uid"]

    def downgrade() -> None:
        cache.apply(image=images["1.6.18"], **HANDOVER)
        begun(cache, "cache-0", before)
        cache.settle()

    await worked(cache, {"cache-0": Pod(cache, "cache-0")}, downgrade, within=300)
    assert cache.resource()["status"]["version"] == "1.6.18"
    eventually(lambda: notes(cache, "HandedOver"))
    (told,) = notes(cache, "HandedOver")
    assert "Pod cache-0" in told
    assert "items handed over" in told
    eventually(lambda: not cache.kubectl("get", "pods", "-l", "app.kubernetes.io/name=memcached-spare", "-o", "name"))


@pytest.mark.full
async def test_memory_of_a_warm_cache_grows_by_handovers_with_tls_and_users_and_operators_that_come_and_go(
    cache: Cache, images: dict[str, str]
) -> None:
    authority = Authority()
    put_secret(cache, "certificate", authority.issue("cache"), "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a"})
    spec = {"size": 2, "tls": {"secretName": "certificate"}, "auth": {"secretName": "users"}, **HANDOVER}
    await asyncio.to_thread(cache.apply, **spec)
    await asyncio.to_thread(cache.settle)
    before = {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}
    tls = authority.context()
    tls.check_hostname = False
    pods = {name: Pod(cache, name, tls=tls, login=Login("alice", "a")) for name in before}

    def spares() -> str:
        return cache.kubectl("get", "pods", "-l", "app.kubernetes.io/name=memcached-spare", "-o", "name")

    def grow() -> None:
        cache.apply(memory="128Mi", **spec)
        for name in ("cache-1", "cache-0"):
            eventually(spares)
            cache.cluster.kubectl(*OPERATOR, "delete", "pod", "--all", "--wait=false")  # while it copies
            begun(cache, name, before[name])
            cache.cluster.kubectl(*OPERATOR, "delete", "pod", "--all", "--wait=false")  # while it copies back
        cache.settle()

    await worked(cache, pods, grow, within=600)
    assert cache.resource()["status"]["memory"] == "128Mi"
    eventually(lambda: len(notes(cache, "HandedOver")) == 2)
    assert not notes(cache, "PodReplaced"), "nothing was started cold"


@pytest.mark.full
@pytest.mark.parametrize("obstacle", ["too old", "no room"])
def test_what_cannot_be_handed_over_starts_cold_and_says_why(
    cache: Cache, images: dict[str, str], obstacle: str
) -> None:
    spec = HANDOVER | ({"image": images["1.6.18"]} if obstacle == "too old" else {})
    cache.apply(**spec)
    cache.settle()
    before = cache.pods()["cache-0"]["metadata"]["uid"]
    if obstacle == "no room":
        cache.kubectl("create", "quota", "one", "--hard=pods=1")
    words = {"too old": "1.6.18 cannot be copied while it serves", "no room": "exceeded quota"}[obstacle]
    cache.apply(memory="80Mi", **spec)
    # A quota counts pods for a while after they are gone: five minutes are waited for room before items are given up.
    eventually(lambda: any(words in note for note in notes(cache, "PodReplaced")), within=600)
    assert "a memory file has its size from the start" in notes(cache, "PodReplaced")[0]
    cache.settle()
    assert cache.pods()["cache-0"]["metadata"]["uid"] != before
    assert cache.settings()["maxbytes"] == str(80 * 2**20)
    assert cache.condition("Degraded")["status"] == "False"
