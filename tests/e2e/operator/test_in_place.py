"""What changes in living pods: nothing is restarted, nothing is lost, and every fallback says why."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from e2e.operator.conftest import Cache
from kopf_sdk.testing.cluster.kubectl import KubectlError
from waiting import eventually

pytestmark = pytest.mark.node

VALUE = "x" * 1000


def fill(cache: Cache, pod: str, count: int, first: int = 0) -> None:
    """Store that many items of 1 KB in one pod, all in one exec."""
    script = (
        f"i={first}; {{ while [ $i -lt {first + count} ]; do "
        f"printf 'set k%d 0 0 {len(VALUE)} noreply\\r\\n%s\\r\\n' $i \"$0\"; i=$((i + 1)); done; "
        "printf 'quit\\r\\n'; } | nc -w 30 127.0.0.1 11211"
    )
    cache.kubectl("exec", pod, "-c", "memcached", "--", "sh", "-c", script, VALUE)


def statistics(cache: Cache, pod: str, group: str = "") -> dict[str, int]:
    lines = cache.ask(f"stats {group}".strip(), pod=pod)
    words = [line.split(" ", 2) for line in lines if line.startswith("STAT ")]
    return {word[1]: int(word[2]) for word in words if word[2].isdecimal()}


def lives(cache: Cache) -> dict[str, list[tuple[str, int, str]]]:
    """What shows that a pod and its memcached are still the same ones."""
    return {
        name: [
            (pod["metadata"]["uid"], status["restartCount"], status.get("containerID", ""))
            for status in pod["status"].get("containerStatuses", [])
        ]
        for name, pod in cache.pods().items()
    }


def events(cache: Cache, reason: str) -> list[str]:
    found = json.loads(cache.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [event["note"] for event in found if event["reason"] == reason and event["regarding"]["kind"] == "Memcached"]


def limit(cache: Cache, pod: str) -> Any:
    """What the kubelet says that the container may use."""
    statuses = cache.pods()[pod]["status"]["containerStatuses"]
    return next(status for status in statuses if status["name"] == "memcached")["resources"]["limits"]["memory"]


def test_memory_grows_and_shrinks_in_living_pods_and_survives_a_crash(cache: Cache) -> None:
    cache.apply(size=2, podLabels={"team": "a"})
    cache.settle()
    before, quality = lives(cache), cache.pods()["cache-0"]["status"]["qosClass"]
    fill(cache, "cache-0", 5000)

    cache.apply(size=2, memory="200Mi", podLabels={"team": "b"}, podAnnotations={"note": "grown"})
    cache.settle()
    assert cache.resource()["status"]["memory"] == "200Mi"
    assert lives(cache) == before
    pods = cache.pods()
    assert {pod["status"]["qosClass"] for pod in pods.values()} == {quality}
    assert {pod["metadata"]["labels"]["team"] for pod in pods.values()} == {"b"}
    assert {pod["metadata"]["annotations"]["note"] for pod in pods.values()} == {"grown"}
    found = statistics(cache, "cache-0")
    assert (found["limit_maxbytes"], found["curr_items"], found["evictions"]) == (200 * 2**20, 5000, 0)
    fill(cache, "cache-0", 70_000, first=5000)
    assert statistics(cache, "cache-0")["curr_items"] == 75_000, "the new memory is not usable"
    stateful_set = ("statefulset", "cache", "-n", cache.namespace)
    eventually(lambda: cache.cluster.get(*stateful_set)["status"]["updatedReplicas"] == 2)
    eventually(lambda: limit(cache, "cache-0") == "280Mi")

    cache.apply(size=2, memory="32Mi", podLabels={"team": "b"})
    cache.settle()
    assert lives(cache) == before
    assert "note" not in cache.pods()["cache-0"]["metadata"]["annotations"]
    found = statistics(cache, "cache-0")
    assert found["limit_maxbytes"] == 32 * 2**20
    assert found["curr_items"] > 20_000, "what still fits was lost"
    assert statistics(cache, "cache-0", "slabs")["total_malloced"] <= 32 * 2**20
    eventually(lambda: limit(cache, "cache-0") == "96Mi")  # a busy kubelet takes that back for a moment
    eventually(lambda: any("cache-0" in note and "not restarted" in note for note in events(cache, "Resized")))

    cache.kubectl("exec", "cache-0", "-c", "memcached", "--", "sh", "-c", "kill -TERM 1")
    eventually(lambda: lives(cache)["cache-0"][0][1] == 1)
    cache.settle()
    assert cache.settings("cache-0")["maxbytes"] == str(32 * 2**20)


def test_where_a_node_has_no_room_pods_are_replaced_until_one_finds_none_and_going_back_mends(cache: Cache) -> None:
    cache.apply(size=2)
    cache.settle()
    before = lives(cache)
    cache.apply(size=2, memory="500Gi")
    eventually(lambda: cache.condition("Degraded")["reason"] == "Unschedulable")
    assert "the rollout stopped" in cache.condition("Degraded")["message"]
    assert cache.condition("Progressing")["reason"] == "RollingOut"
    assert "Not in place: its node has no room" in cache.condition("Progressing")["message"]
    assert "no room" in eventually(lambda: events(cache, "PodReplaced"))[0]
    assert lives(cache)["cache-0"] == before["cache-0"]
    assert cache.condition("Available")["status"] == "True"

    cache.apply(size=2)
    cache.settle()
    assert lives(cache)["cache-0"] == before["cache-0"]
    assert cache.condition("Degraded")["status"] == "False"
    assert cache.pods()["cache-0"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "132Mi"


def test_the_next_pod_waits_until_the_last_new_one_hits_as_its_peers_do(cache: Cache) -> None:
    warm_up = {"warmUp": {"hitRatioPercent": 80, "timeoutSeconds": 600}}
    names = ("cache-0", "cache-1")
    reads = "\r\n".join(f"get k{number}" for number in range(50))

    def read() -> None:
        for name in names:
            with suppress(KubectlError):  # it is just being replaced
                cache.ask(reads, pod=name)

    cache.apply(size=2, updateStrategy=warm_up)
    cache.settle()
    for name in names:
        fill(cache, name, 50)
    before = lives(cache)
    cache.apply(size=2, updateStrategy=warm_up, threads=2)
    eventually(lambda: "Waiting until cache-1" in cache.condition("Progressing").get("message", ""))
    assert lives(cache)["cache-1"] != before["cache-1"]
    end = time.monotonic() + 12
    while time.monotonic() < end:
        read()
        assert lives(cache)["cache-0"] == before["cache-0"], "cache-1 is still empty"
    fill(cache, "cache-1", 50)

    def next_one_went() -> bool:
        if lives(cache).get("cache-0") != before["cache-0"]:
            return True
        read()
        return False

    eventually(next_one_went)
    cache.settle()
