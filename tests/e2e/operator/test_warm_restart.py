"""With a memory file, memcached's restarts keep the items: counted and read back, in a real pod with real versions."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from typing import Any

import pytest

from e2e.operator.conftest import Cache
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import KubectlError
from kopf_sdk.testing.images import base_image, reference
from waiting import eventually

pytestmark = pytest.mark.node

WARM: dict[str, Any] = {"warmRestart": {"enabled": True}}
ITEMS = 5000


@pytest.fixture(scope="session")
def versions(node_cluster: Cluster) -> dict[str, str]:
    """Images of memcached by version, in the node."""
    names = ("memcached-bookworm", "memcached-trixie", "memcached")
    node_cluster.load_images([base_image(name) for name in names])
    return {reference(name).rpartition(":")[2]: reference(name) for name in names}


@pytest.fixture
def old(versions: dict[str, str]) -> str:
    return versions["1.6.38"]


@pytest.fixture
def new(versions: dict[str, str]) -> str:
    return next(image for version, image in versions.items() if version not in ("1.6.18", "1.6.38"))


def fill(cache: Cache, pod: str, items: int = ITEMS) -> None:
    script = (
        f"i=0; (while [ $i -lt {items} ]; do "
        'printf "set key-%d 7 0 100\\r\\n%0100d\\r\\n" $i $i; i=$((i+1)); done; printf "quit\\r\\n") '
        "| nc -w 30 127.0.0.1 11211 | grep -c STORED"
    )
    assert cache.kubectl("exec", pod, "-c", "memcached", "--", "sh", "-c", script).strip() == str(items)


def whole(cache: Cache, pod: str, items: int = ITEMS) -> int:
    """Return how many of the items are there with the value and the flags that they were stored with."""
    script = (
        f"i=0; (while [ $i -lt {items} ]; do "
        'printf "get key-%d\\r\\n" $i; i=$((i+1)); done; printf "quit\\r\\n") | nc -w 30 127.0.0.1 11211 '
        "| tr -d '\\r' | awk '/^VALUE/ {split($2, k, \"-\"); flags = $3; next} /^END/ {next} "
        "{if (length($0) == 100 && $0 + 0 == k[2] && flags == 7) n++} END {print n + 0}'"
    )
    return int(cache.kubectl("exec", pod, "-c", "memcached", "--", "sh", "-c", script))


def identities(cache: Cache) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}


def container(cache: Cache, pod: str = "cache-0") -> dict[str, Any]:
    return next(dict(s) for s in cache.pods()[pod]["status"]["containerStatuses"] if s["name"] == "memcached")


def events(cache: Cache, reason: str) -> list[str]:
    """Return the messages of the resource's events."""
    found = json.loads(cache.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [event["note"] for event in found if event["reason"] == reason and event["regarding"]["name"] == cache.name]


def rehearsals(cache: Cache) -> list[str]:
    return cache.kubectl("get", "pods", "-l", "app.kubernetes.io/name=memcached-rehearsal", "-o", "name").split()


class LowestReady:
    """Watches, from question to question, how many pods were ready at the same time."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.lowest = cache, len(cache.pods())

    def look(self) -> None:
        ready = [
            condition["status"] == "True"
            for pod in self.cache.pods().values()
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready"
        ]
        self.lowest = min(self.lowest, sum(ready))


@pytest.fixture
def filled(cache: Cache, old: str) -> Cache:
    cache.cluster.kubectl("label", "namespace", cache.namespace, "pod-security.kubernetes.io/enforce=restricted")
    cache.apply(size=2, image=old, **WARM)
    cache.settle()
    for pod in cache.pods():
        fill(cache, pod)
    return cache


def test_a_new_image_and_other_arguments_keep_every_item_in_the_same_pods(filled: Cache, old: str, new: str) -> None:
    pods = identities(filled)
    lowest = LowestReady(filled)
    filled.apply(size=2, image=new, **WARM)

    def reasons() -> bool:
        lowest.look()
        return bool(filled.condition("Progressing")["reason"] == "WarmUpgrading")

    eventually(reasons)
    filled.settle()
    lowest.look()
    assert identities(filled) == pods
    assert filled.resource()["status"]["version"] == new.rpartition(":")[2]
    assert [whole(filled, pod) for pod in pods] == [ITEMS, ITEMS]
    assert {container(filled, pod)["restartCount"] for pod in pods} == {1}
    assert lowest.lowest >= 1
    eventually(lambda: len(events(filled, "WarmUpgraded")) >= 2)
    told = events(filled, "WarmUpgraded")
    assert len(told) == 2
    assert all("1.6.38 → 1.6.45 and kept its items: 5000 items, 5000 before" in message for message in told)

    filled.apply(size=2, image=new, threads=2, maxConnections=512, **WARM)
    filled.settle()
    assert identities(filled) == pods
    assert {filled.settings(pod)["num_threads"] for pod in pods} == {"2"}
    assert {filled.settings(pod)["maxconns"] for pod in pods} == {"512"}
    assert [whole(filled, pod) for pod in pods] == [ITEMS, ITEMS]
    eventually(lambda: not rehearsals(filled))

    # What an older version, whose file has the same form, saved: read as well.
    filled.apply(size=2, image=old, threads=2, maxConnections=512, **WARM)
    filled.settle()
    assert identities(filled) == pods
    assert [whole(filled, pod) for pod in pods] == [ITEMS, ITEMS]


def test_a_bad_image_or_bad_arguments_never_stop_a_memcached_that_serves(filled: Cache, old: str) -> None:
    pods = identities(filled)
    filled.apply(size=2, image="localhost/kopf-sdk/nothing:1", **WARM)
    eventually(lambda: filled.condition("Degraded")["status"] == "True")
    condition = filled.condition("Degraded")
    assert condition["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "nothing:1" in condition["message"]
    assert filled.condition("Available")["status"] == "True"
    assert filled.resource()["status"]["readyReplicas"] == 2

    filled.apply(size=2, image=old, extraArgs=["--no-such-argument"], **WARM)
    eventually(lambda: filled.condition("Degraded")["reason"] == "RehearsalFailed")
    assert "no-such-argument" in filled.condition("Degraded")["message"]
    filled.apply(size=2, image=old, **WARM)
    filled.settle()
    assert filled.condition("Degraded")["status"] == "False"
    assert identities(filled) == pods
    assert {container(filled, pod)["restartCount"] for pod in pods} == {0}
    assert [whole(filled, pod) for pod in pods] == [ITEMS, ITEMS]


def test_what_memcached_refuses_is_known_before_and_starts_cold_in_a_new_pod(
    cache: Cache, versions: dict[str, str], new: str
) -> None:
    cache.apply(image=new, **WARM)
    cache.settle()
    fill(cache, "cache-0", 100)
    before = identities(cache)
    cache.apply(image=versions["1.6.18"], **WARM)
    eventually(lambda: identities(cache).get("cache-0") not in (None, before["cache-0"]))
    cache.settle()
    assert whole(cache, "cache-0", 100) == 0
    said = eventually(lambda: events(cache, "PodReplaced"))
    assert any("1.6.18 does not read the memory file of" in message for message in said), said


def test_what_a_crash_a_stop_and_a_growing_memory_leave(cache: Cache) -> None:
    cache.apply(**WARM)
    cache.settle()
    fill(cache, "cache-0", 1000)

    def run(script: str) -> None:
        cache.kubectl("exec", "cache-0", "-c", "memcached", "--", "sh", "-c", script)

    run("kill -TERM 1")  # what the kubelet does: a failed liveness probe, say
    eventually(lambda: container(cache)["restartCount"] == 1 and container(cache)["ready"])
    assert whole(cache, "cache-0", 1000) == 1000
    assert container(cache)["lastState"]["terminated"]["exitCode"] == 0

    run("kill -KILL $(ps | awk '$3 == \"memcached\" {print $1}')")
    eventually(lambda: container(cache)["restartCount"] == 2 and container(cache)["ready"])
    assert whole(cache, "cache-0", 1000) == 0
    assert container(cache)["lastState"]["terminated"]["exitCode"] == 137
    fill(cache, "cache-0", 1000)

    before = identities(cache)
    cache.apply(memory="80Mi", **WARM)
    eventually(lambda: identities(cache).get("cache-0") not in (None, before["cache-0"]))
    cache.settle()
    assert cache.settings()["maxbytes"] == str(80 * 2**20)
    assert whole(cache, "cache-0", 1000) == 0


@pytest.mark.full
def test_a_memcached_that_hangs_is_killed_and_starts_empty(cache: Cache) -> None:
    cache.apply(terminationGracePeriodSeconds=1, **WARM)
    cache.settle()
    fill(cache, "cache-0", 1000)
    script = "kill -STOP $(ps | awk '$3 == \"memcached\" {print $1}')"
    cache.kubectl("exec", "cache-0", "-c", "memcached", "--", "sh", "-c", script)
    eventually(lambda: not container(cache)["ready"])
    eventually(lambda: container(cache)["restartCount"] == 1 and container(cache)["ready"], within=240)
    assert whole(cache, "cache-0", 1000) == 0


@pytest.mark.full
def test_a_memcached_that_is_out_of_memory_is_killed_and_starts_empty(cache: Cache) -> None:
    # A hash table that is larger than the container may be, and is used page after page.
    cache.apply(extraArgs=["-o", "hashpower=27"], **WARM)
    cache.settle()
    script = (
        "i=0; (while [ $i -lt 60000 ]; do "
        'printf "set %s-%d 0 0 1 noreply\\r\\nx\\r\\n" $0 $i; i=$((i+1)); done; printf "quit\\r\\n") '
        "| nc -w 30 127.0.0.1 11211; true"
    )

    def killed() -> bool:
        with suppress(KubectlError):  # the shell may be the one that is killed
            cache.kubectl("exec", "cache-0", "-c", "memcached", "--", "sh", "-c", script, secrets.token_hex(4))
        return bool(container(cache)["restartCount"])

    eventually(killed)
    eventually(lambda: container(cache)["ready"])
    assert container(cache)["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert "STAT curr_items 0" in cache.ask("stats")
    assert not events(cache, "WarmUpgraded")
