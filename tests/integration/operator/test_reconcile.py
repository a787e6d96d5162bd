"""One resource from apply to delete, against the API server's and the StatefulSet controller's own behaviour."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from integration.operator.conftest import GROUP_PATH, RESOURCE, Kubernetes
from kopf_sdk.testing.cluster.kubectl import KubectlError
from waiting import eventually, promptly


def test_the_tutorials_resource_becomes_pods_and_services(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=3, containerPort=11222)
    stateful_set = eventually(lambda: kubernetes.stateful_set("cache"))
    assert stateful_set["spec"]["replicas"] == 3
    assert stateful_set["spec"]["podManagementPolicy"] == "Parallel"
    assert stateful_set["spec"]["updateStrategy"]["type"] == "OnDelete"
    eventually(lambda: set(kubernetes.pods()) == {"cache-0", "cache-1", "cache-2"})
    assert kubernetes.get("services", "cache-nodes")["spec"]["clusterIP"] == "None"
    assert kubernetes.get("services", "cache")["spec"]["ports"][0]["port"] == 11222
    assert kubernetes.get("configmaps", "cache-servers")["data"]["servers"].splitlines() == [
        f"cache-{ordinal}.cache-nodes.{kubernetes.namespace}.svc:11222" for ordinal in range(3)
    ]


def test_the_status_follows_the_pods(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=2)
    eventually(lambda: kubernetes.memcached("cache").get("status", {}).get("replicas") == 2)
    assert kubernetes.condition("cache", "Available")["status"] == "False"
    kubernetes.make_ready("cache-0", "cache-1")
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "UpToDate")
    status = kubernetes.memcached("cache")["status"]
    assert (status["readyReplicas"], status["nodes"]) == (2, ["cache-0", "cache-1"])
    assert status["observedGeneration"] == 1
    assert kubernetes.condition("cache", "Available")["status"] == "True"
    kubernetes.make_ready("cache-0", "cache-1", ready=False)
    eventually(lambda: kubernetes.condition("cache", "Available")["status"] == "False")


@pytest.mark.parametrize(
    ("plural", "name", "api"),
    [
        ("statefulsets", "cache", "/apis/apps/v1"),
        ("services", "cache", "/api/v1"),
        ("services", "cache-nodes", "/api/v1"),
        ("configmaps", "cache-config", "/api/v1"),
    ],
)
def test_a_deleted_child_is_back_within_a_second(kubernetes: Kubernetes, plural: str, name: str, api: str) -> None:
    kubernetes.apply("cache")
    eventually(lambda: kubernetes.get(plural, name, api))
    eventually(lambda: kubernetes.condition("cache", "Available"))

    def delete() -> None:
        before = kubernetes.get(plural, name, api)["metadata"]["uid"]
        kubernetes.cluster.api.delete(kubernetes.path(plural, name, api))
        eventually(lambda: kubernetes.get(plural, name, api).get("metadata", {}).get("uid", before) != before)

    promptly(delete, 1)


def test_an_edit_by_hand_is_put_right_within_a_second(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=1)
    eventually(lambda: kubernetes.condition("cache", "Available"))

    def edit() -> None:
        kubernetes.patch(kubernetes.path("statefulsets", "cache", "/apis/apps/v1"), {"spec": {"replicas": 5}})
        eventually(lambda: kubernetes.stateful_set("cache")["spec"]["replicas"] == 1)

    promptly(edit, 1)


def test_a_change_replaces_one_pod_at_a_time(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=3)
    eventually(lambda: len(kubernetes.pods()) == 3)
    kubernetes.make_ready("cache-0", "cache-1", "cache-2")
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "UpToDate")
    old = {name: pod["metadata"]["uid"] for name, pod in kubernetes.pods().items()}

    kubernetes.apply("cache", size=3, memory="128Mi")
    for ordinal in (2, 1, 0):
        name = f"cache-{ordinal}"
        eventually(partial(kubernetes.replaced, name, old[name]))
        time.sleep(0.5)  # the others have this long to be deleted too early
        pods = kubernetes.pods()
        kept = {pod: pods[pod]["metadata"]["uid"] for pod in list(old)[:ordinal]}
        assert kept == {pod: old[pod] for pod in kept}, "a pod went before its predecessor served"
        kubernetes.make_ready(name)
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "UpToDate")


def test_a_drain_may_take_one_pod_and_then_has_to_wait(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=3)
    eventually(lambda: len(kubernetes.pods()) == 3)
    kubernetes.make_ready("cache-0", "cache-1", "cache-2")

    def evict(name: str) -> int:
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        return kubernetes.cluster.api.request("POST", f"{kubernetes.path('pods', name)}/eviction", eviction)[0]

    old = kubernetes.uid("cache-2")
    eventually(lambda: evict("cache-2") == 201)
    eventually(partial(kubernetes.replaced, "cache-2", old))
    assert evict("cache-1") == 429
    kubernetes.make_ready("cache-2")
    eventually(lambda: evict("cache-1") == 201)


def test_scale_subresource_and_selector(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=1)
    eventually(lambda: kubernetes.memcached("cache").get("status", {}).get("selector"))
    kubernetes.cluster.kubectl("scale", f"{RESOURCE}/cache", "--replicas=2", "--namespace", kubernetes.namespace)
    eventually(lambda: len(kubernetes.pods()) == 2)
    scale = kubernetes.cluster.api.get(f"{GROUP_PATH}/namespaces/{kubernetes.namespace}/memcacheds/cache/scale")[1]
    assert scale["spec"]["replicas"] == 2
    selected = kubernetes.cluster.get("pods", "-l", scale["status"]["selector"], "-n", kubernetes.namespace)["items"]
    assert {pod["metadata"]["name"] for pod in selected} == {"cache-0", "cache-1"}


def test_a_foreign_object_of_the_same_name_is_left_alone_and_named(kubernetes: Kubernetes) -> None:
    service = {"metadata": {"name": "cache"}, "spec": {"ports": [{"port": 80}]}}
    kubernetes.cluster.api.create(kubernetes.path("services"), service)
    kubernetes.apply("cache")
    condition = eventually(lambda: (c := kubernetes.condition("cache", "Degraded")).get("status") == "True" and c)
    assert condition
    assert "Service cache" in condition["message"]
    assert kubernetes.get("services", "cache")["spec"]["ports"][0]["port"] == 80


def test_paused_changes_nothing(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=1)
    eventually(lambda: kubernetes.condition("cache", "Available"))
    kubernetes.apply("cache", size=3, paused=True)
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "Paused")
    kubernetes.cluster.api.delete(kubernetes.path("services", "cache-nodes"))
    time.sleep(1.5)
    assert kubernetes.stateful_set("cache")["spec"]["replicas"] == 1
    assert kubernetes.get("services", "cache-nodes") == {}


def test_prometheus_is_told_where_its_operator_is_installed(kubernetes: Kubernetes) -> None:
    api = "/apis/monitoring.coreos.com/v1"
    labels = {"release": "prometheus"}
    metrics: dict[str, Any] = {"enabled": True, "serviceMonitor": {"labels": labels, "interval": "15s"}}
    kubernetes.apply("cache", metrics=metrics | {"prometheusRule": {"labels": labels}})
    monitor = eventually(lambda: kubernetes.get("servicemonitors", "cache", api))
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"][0]["interval"] == "15s"
    scraped = kubernetes.get("services", "cache-nodes")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= scraped["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in scraped["spec"]["ports"]}
    rule = eventually(lambda: kubernetes.get("prometheusrules", "cache", api))
    assert rule["spec"]["groups"][0]["rules"]
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    off = {"serviceMonitor": {"enabled": False}, "prometheusRule": {"enabled": False}}
    kubernetes.apply("cache", metrics={"enabled": True, **off})
    eventually(lambda: not kubernetes.get("servicemonitors", "cache", api))
    eventually(lambda: not kubernetes.get("prometheusrules", "cache", api))


def test_deleting_the_resource_leaves_nothing(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=2)
    eventually(lambda: len(kubernetes.pods()) == 2)
    kubernetes.cluster.kubectl("delete", f"{RESOURCE}/cache", "--namespace", kubernetes.namespace)
    eventually(lambda: not kubernetes.children("cache"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("a" * 53, "at most 52 characters"), ("1cache", "DNS-1035"), ("my.cache", "DNS-1035")],
)
def test_a_name_that_children_could_not_carry_is_refused(kubernetes: Kubernetes, name: str, message: str) -> None:
    with pytest.raises(KubectlError, match=message):
        kubernetes.apply(name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"size": -1}, "greater than or equal to 0"),
        ({"memory": "4Mi"}, "memory must be between 8Mi and 1Ti"),
        ({"maxItemSize": "40Mi"}, "maxItemSize must be at least 1Ki and at most half of memory"),
        ({"resources": {"limits": {"memory": "64Mi"}}}, "cannot hold memory"),
        ({"maxConnections": 100, "threads": 16}, "maxConnections must be at least 5 × threads"),
        ({"extraArgs": ["--memory-limit=5"]}, "what the operator decides"),
        ({"extraArgs": ["-vvm", "5"]}, "what the operator decides"),
        ({"extraArgs": ["-AMm5"]}, "what the operator decides"),
        ({"extraArgs": ["--memory-l=5"]}, "what the operator decides"),
        ({"extraArgs": ["-F\n-m5"]}, "should match"),
        ({"extraArgs": ["-o", "ext_path=/x:5G"]}, "what the operator decides"),
        ({"auth": {"secretName": "users"}, "extraArgs": ["-B", "binary"]}, "binary protocol"),
        ({"auth": {"secretName": "users"}, "extraArgs": ["--protocol=binary"]}, "binary protocol"),
        ({"extraArgs": ["--enable-sasl"]}, "SASL"),
        ({"extraArgs": ["-rS"]}, "SASL"),
        ({"extraArgs": ["-U", "11211"]}, "UDP"),
        ({"extraArgs": ["-s", "/tmp/socket"]}, "Unix sockets"),
        ({"autoscaling": {"minSize": 4, "maxSize": 3}}, "minSize must not be above maxSize"),
        ({"metrics": {"enabled": True, "port": 11211}}, "metrics.port must differ"),
        ({"containerPort": 80}, "greater than or equal to 1024"),
    ],
)
def test_what_cannot_work_is_refused(kubernetes: Kubernetes, spec: dict[str, object], message: str) -> None:
    with pytest.raises(KubectlError, match=message):
        kubernetes.apply("bad", **spec)
