"""Every field is looked up in the running memcached, not in a manifest."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

from e2e.operator.conftest import Cache
from waiting import eventually

pytestmark = pytest.mark.node


def test_defaults_and_stable_names(cache: Cache) -> None:
    cache.apply(size=2)
    cache.settle()
    settings = cache.settings()
    assert settings["maxbytes"] == str(64 * 1024 * 1024)
    assert settings["maxconns"] == "1024"
    assert settings["num_threads"] == "4"
    status = cache.resource()["status"]
    assert f"VERSION {status['version']}" == cache.ask("version")[0]
    assert status["memory"] == "64Mi"
    for server in cache.resource()["status"]["servers"]:
        host, port = server.split(":")
        assert cache.ask("version", host=host, port=int(port))[0].startswith("VERSION 1.6.")


def test_settings_reach_memcached(cache: Cache) -> None:
    cache.apply(
        memory="100Mi",
        maxConnections=2048,
        threads=2,
        maxItemSize="2Mi",
        verbosity=1,
        containerPort=11333,
        extraArgs=["--disable-evictions"],
    )
    cache.settle()
    answer = cache.ask("stats settings", port=11333)
    settings = dict(line.split(" ", 2)[1:] for line in answer if line.startswith("STAT "))
    wanted = {
        "maxbytes": str(100 * 1024 * 1024),
        "maxconns": "2048",
        "num_threads": "2",
        "item_size_max": str(2 * 1024 * 1024),
        "verbosity": "1",
        "tcpport": "11333",
        "evictions": "off",
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_pods_meet_the_restricted_standard_and_carry_no_token(cache: Cache) -> None:
    cache.cluster.kubectl("label", "namespace", cache.namespace, "pod-security.kubernetes.io/enforce=restricted")
    cache.apply()
    cache.settle()
    script = "id -u; ls /var/run/secrets/kubernetes.io 2>/dev/null; touch /x 2>/dev/null && echo writable; true"
    assert cache.kubectl("exec", "cache-0", "--", "sh", "-c", script).split() == ["11211"]


def test_two_resources_of_a_namespace_keep_to_themselves(cache: Cache) -> None:
    other = Cache(cache.cluster, cache.namespace, "other")
    cache.apply()
    other.apply()
    cache.settle()
    other.settle()
    assert "STORED" in cache.ask("set owner 0 0 5\r\ncache", host="cache")
    assert "STORED" in other.ask("set owner 0 0 5\r\nother", host="other")
    for _ in range(5):
        assert "cache" in other.ask("get owner", host="cache")
        assert "other" in cache.ask("get owner", host="other")


def test_a_memcached_that_takes_no_more_connections_is_ready_and_not_made_anew_out_of_turn(cache: Cache) -> None:
    cache.apply(size=2, maxConnections=64, threads=1)
    cache.settle()
    before = {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}
    addresses = {name: cache.cluster.publish(pod["status"]["podIP"], 11211) for name, pod in cache.pods().items()}
    with contextlib.ExitStack() as clients:
        for address in addresses.values():
            host, _, port = address.partition(":")
            for _ in range(100):  # some are refused, and closed
                clients.enter_context(socket.create_connection((host, int(port)), timeout=30)).sendall(b"version\r\n")
        end = time.monotonic() + 20  # the readiness probe fails within ten
        while time.monotonic() < end:
            assert cache.condition("Available")["status"] == "True"
            assert cache.resource()["status"]["readyReplicas"] == 2
            time.sleep(0.5)
        cache.apply(size=2, maxConnections=128, threads=1)

        def second_went() -> bool:
            uids = {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}
            assert uids.get("cache-0") == before["cache-0"], "its turn comes when the other one is ready"
            return bool(uids.get("cache-1") != before["cache-1"])

        eventually(second_went)
    cache.settle()
    assert cache.settings("cache-0")["maxconns"] == "128"


def test_a_change_replaces_pods_one_at_a_time_while_the_others_serve(cache: Cache) -> None:
    cache.apply(size=3)
    cache.settle()
    before = {name: pod["metadata"]["uid"] for name, pod in cache.pods().items()}
    cache.apply(size=3, threads=2)
    lowest = 3

    def done() -> bool:
        nonlocal lowest
        pods = cache.pods()
        ready = [
            any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
            and "deletionTimestamp" not in pod["metadata"]
            for pod in pods.values()
        ]
        lowest = min(lowest, sum(ready))
        return all(pods.get(name, {"metadata": {"uid": uid}})["metadata"]["uid"] != uid for name, uid in before.items())

    eventually(done)
    cache.settle()
    assert lowest >= 2
    assert {cache.settings(pod)["num_threads"] for pod in before} == {"2"}


def test_a_bad_image_is_degraded_in_the_kubelets_words_and_repairs_itself(cache: Cache) -> None:
    cache.apply(image="localhost/kopf-sdk/nothing:1", imagePullPolicy="Never")
    eventually(lambda: cache.condition("Degraded")["status"] == "True")
    condition = cache.condition("Degraded")
    assert condition["reason"] == "ErrImageNeverPull"
    assert "localhost/kopf-sdk/nothing:1" in condition["message"]
    assert cache.condition("Available")["status"] == "False"
    cache.apply()
    cache.settle()
    assert cache.condition("Degraded")["status"] == "False"


def test_an_unschedulable_pod_is_degraded_in_the_schedulers_words(cache: Cache) -> None:
    cache.apply(nodeSelector={"example.com/nowhere": "true"})
    eventually(lambda: cache.condition("Degraded")["reason"] == "Unschedulable")
    assert "didn't match" in cache.condition("Degraded")["message"]


def test_deleting_the_resource_leaves_nothing(cache: Cache) -> None:
    cache.apply(size=2)
    cache.settle()
    cache.kubectl("delete", "memcached", "cache")
    eventually(lambda: not cache.pods())
    left = cache.kubectl("get", "statefulset,service,configmap,poddisruptionbudget", "-o", "name")
    assert [name for name in left.split() if "cache" in name] == []


def test_bad_arguments_and_a_bad_image_never_stop_a_memcached_that_serves(cache: Cache) -> None:
    cache.apply()
    cache.settle()
    before = cache.pods()["cache-0"]["metadata"]["uid"]
    cache.apply(extraArgs=["--no-such-argument"])
    eventually(lambda: cache.condition("Degraded")["reason"] == "RehearsalFailed")
    assert "no-such-argument" in cache.condition("Degraded")["message"]
    cache.apply(image="localhost/kopf-sdk/nothing:1", imagePullPolicy="Never")
    eventually(lambda: cache.condition("Degraded")["reason"] == "ErrImageNeverPull")
    time.sleep(2)
    assert cache.condition("Available")["status"] == "True"
    cache.apply()
    cache.settle()
    assert cache.pods()["cache-0"]["metadata"]["uid"] == before
    assert cache.condition("Degraded")["status"] == "False"
