"""Several operators on one cluster, each with the resources that its label selector names."""

from __future__ import annotations

from typing import Any

from integration.runtime.test_controller import available, get
from integration.runtime.toy import GROUP, controller
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually, running

MERGE = "application/merge-patch+json"


async def test_two_shards_share_a_namespace_and_hand_a_resource_over(cluster: Cluster, namespace: str) -> None:
    toys = f"/apis/{GROUP}/v1/namespaces/{namespace}/toys"

    def make(name: str, shard: str) -> None:
        body: dict[str, Any] = {"apiVersion": f"{GROUP}/v1", "kind": "Toy", "spec": {"children": ["ConfigMap"]}}
        cluster.api.create(toys, {**body, "metadata": {"name": name, "labels": {"shard": shard}}})

    def patch(path: str, body: dict[str, Any]) -> None:
        assert cluster.api.request("PATCH", path, body, content_type=MERGE)[0] == 200

    def text(name: str) -> Any:
        return get(cluster, namespace, "ConfigMap", name)["data"]["text"]

    options: dict[str, Any] = {"watch_namespaces": namespace, "leader_elect": True, "namespace": namespace}
    make("early", "a")
    async with (
        running(cluster.kubeconfig, controller(), watch_selector="shard=a", **options) as a,
        running(cluster.kubeconfig, controller(), watch_selector="shard notin (a)", **options) as b,
    ):
        make("late", "b")
        for name in ("early", "late"):
            await eventually(available, cluster, namespace, name)
        assert {entry.name for entry in a.caches[0]} == {"early"}
        assert {entry.name for entry in b.caches[0]} == {"late"}

        # Moved, and moved back under the same UID: always exactly one of them repairs it.
        for shard, owner, other in (("b", b, a), ("a", a, b)):
            version = get(cluster, namespace, "ConfigMap", "early")["metadata"]["resourceVersion"]
            patch(f"{toys}/early", {"metadata": {"labels": {"shard": shard}}})
            await eventually(lambda owner=owner: "early" in {entry.name for entry in owner.caches[0]})
            await eventually(lambda other=other: "early" not in {entry.name for entry in other.caches[0]})
            # It is taken over as it is.
            assert get(cluster, namespace, "ConfigMap", "early")["metadata"]["resourceVersion"] == version
            patch(f"{toys}/early", {"spec": {"text": f"of {shard}"}})
            await eventually(lambda shard=shard: text("early") == f"of {shard}")
        patch(f"/api/v1/namespaces/{namespace}/configmaps/early", {"data": {"text": "spoiled"}})
        await eventually(lambda: text("early") == "of a")


async def test_two_shards_by_namespace_keep_only_their_own_in_memory(
    cluster: Cluster, namespace: str, other_namespace: str
) -> None:
    parts = (namespace, other_namespace)
    for part in parts:
        body: dict[str, Any] = {"apiVersion": f"{GROUP}/v1", "kind": "Toy", "spec": {"children": ["ConfigMap"]}}
        cluster.api.create(
            f"/apis/{GROUP}/v1/namespaces/{part}/toys", {**body, "metadata": {"name": f"of-{part}", "namespace": part}}
        )
    options: list[dict[str, Any]] = [
        {"watch_namespaces": part, "leader_elect": True, "namespace": part} for part in parts
    ]
    async with (
        running(cluster.kubeconfig, controller(), **options[0]) as a,
        running(cluster.kubeconfig, controller(), **options[1]) as b,
    ):
        for part, manager in zip(parts, (a, b), strict=True):
            await eventually(available, cluster, part, f"of-{part}")
            assert {entry.namespace for store in manager.caches for entry in store} == {part}
        patch = {"data": {"text": "spoiled"}}
        path = f"/api/v1/namespaces/{other_namespace}/configmaps/of-{other_namespace}"
        assert cluster.api.request("PATCH", path, patch, content_type=MERGE)[0] == 200
        await eventually(
            lambda: get(cluster, other_namespace, "ConfigMap", f"of-{other_namespace}")["data"]["text"] != "spoiled"
        )
