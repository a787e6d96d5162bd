"""A controller at work: children are made, repaired, removed; nothing is written twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from integration.runtime.conftest import Audit
from integration.runtime.toy import GROUP, OWNED, ToyStatus, controller
from kopf_sdk.api import CustomResource, Model
from kopf_sdk.runtime import Controller, Request
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually, running

Make = Callable[..., None]
PRESENT = [kind for kind in OWNED if not kind.optional]


def get(cluster: Cluster, namespace: str, kind: str, name: str = "one") -> Any:
    """An object, or None."""
    path = next(
        (k.path(namespace, name) for k in OWNED if k.kind == kind),
        f"/apis/{GROUP}/v1/namespaces/{namespace}/toys/{name}",
    )
    code, answer = cluster.api.get(path)
    return answer if code == 200 else None


def available(cluster: Cluster, namespace: str, name: str = "one") -> Any:
    """The Available condition of a toy, if it was reconciled in its current generation."""
    toy = get(cluster, namespace, "Toy", name) or {}
    conditions = {c["type"]: c for c in toy.get("status", {}).get("conditions", [])}
    found = conditions.get("Available")
    return found if found and found["observedGeneration"] == toy["metadata"]["generation"] else None


async def test_children_cost_one_write_each_and_the_status_one_more(
    cluster: Cluster, namespace: str, toys: Make, audit: Audit
) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one")
        await eventually(available, cluster, namespace)
    writes = audit.writes(namespace)
    assert sorted(writes) == sorted(
        [*(f"patch {kind.plural} one 201" for kind in PRESENT), "patch toys/status one 200"]
    )
    child = get(cluster, namespace, "StatefulSet")
    assert child["metadata"]["ownerReferences"][0]["name"] == "one"
    assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "toy-operator"


async def test_converged_children_of_every_kind_are_left_alone_for_a_minute_and_after_a_restart(
    cluster: Cluster, namespace: str, toys: Make, audit: Audit
) -> None:
    for number in range(3):
        toys(f"toy-{number}")
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        await eventually(lambda: all(available(cluster, namespace, f"toy-{n}") for n in range(3)))
        await asyncio.sleep(5)  # the real controllers write their statuses
    audit.start()
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace, resync_period=2.0) as manager:
        await asyncio.sleep(60)
        reconciled = manager.metrics.registry.get_sample_value(
            "controller_runtime_reconcile_total", {"controller": "toy", "result": "success"}
        )
        assert reconciled is not None
        assert reconciled > 60
    assert audit.writes(namespace) == []
    # Nor reads: what is asked for does not grow with the number of reconciliations.
    reads = audit.requests(
        lambda e: e.get("userAgent") == "kopf-sdk" and e.get("objectRef", {}).get("namespace") == namespace
    )
    assert [read for read in reads if read.startswith("get ")] == []
    assert len([read for read in reads if read.startswith("list ")]) <= 2 + len(PRESENT) + 2


async def test_drift_is_repaired_whatever_it_is(cluster: Cluster, namespace: str, toys: Make) -> None:
    def patch(kind: str, patch: Any) -> None:
        path = next(k.path(namespace, "one") for k in OWNED if k.kind == kind)
        code, answer = cluster.api.request("PATCH", path, patch, content_type="application/merge-patch+json")
        assert code == 200, answer

    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", size=2)
        await eventually(available, cluster, namespace)
        settled = {kind.kind: get(cluster, namespace, kind.kind) for kind in PRESENT}
        patch("StatefulSet", {"spec": {"replicas": 5}})
        patch("Service", {"spec": {"selector": {"added": "by-hand"}}})
        patch("ConfigMap", {"data": {"text": "changed"}})
        patch("Secret", {"data": {"text": "Y2hhbmdlZA=="}})
        patch("NetworkPolicy", {"spec": {"ingress": []}})
        patch("Deployment", {"metadata": {"labels": {"app.kubernetes.io/name": None}}})
        patch("ServiceAccount", {"metadata": {"ownerReferences": None}})
        patch("PodDisruptionBudget", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
        patch("Ingress", {"spec": {"rules": [{"host": "other.example"}]}})

        def wanted(manifest: Any) -> str:
            spec = {key: value for key, value in manifest.items() if key not in ("status", "metadata")}
            metadata = manifest["metadata"]
            return json.dumps([spec, metadata["labels"], metadata["ownerReferences"]], sort_keys=True)

        def repaired() -> bool:
            return all(wanted(get(cluster, namespace, kind)) == wanted(before) for kind, before in settled.items())

        await eventually(repaired)
        # What others add beside our fields is theirs.
        patch("ConfigMap", {"data": {"theirs": "1"}, "metadata": {"annotations": {"theirs": "1"}}})
        await asyncio.sleep(1)
        assert get(cluster, namespace, "ConfigMap")["data"]["theirs"] == "1"


async def test_deleted_children_come_back_and_unwanted_ones_go(cluster: Cluster, namespace: str, toys: Make) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one")
        await eventually(available, cluster, namespace)
        old = {kind.kind: get(cluster, namespace, kind.kind)["metadata"]["uid"] for kind in PRESENT}
        for kind in PRESENT:
            cluster.api.delete(kind.path(namespace, "one"))

        def replaced() -> bool:
            return all((new := get(cluster, namespace, kind)) and new["metadata"]["uid"] != old[kind] for kind in old)

        await eventually(replaced)
        cluster.kubectl(
            "patch", f"toys.{GROUP}", "one", "-n", namespace, "--type=merge", "-p", '{"spec":{"children":["Service"]}}'
        )
        await eventually(available, cluster, namespace)
        await eventually(lambda: [k.kind for k in PRESENT if get(cluster, namespace, k.kind)] == ["Service"])


async def test_fields_that_are_no_longer_wanted_go_also_after_a_restart(
    cluster: Cluster, namespace: str, toys: Make
) -> None:
    toys("one", keys=["text", "more"], children=["ConfigMap"])
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        await eventually(lambda: set(get(cluster, namespace, "ConfigMap")["data"]) == {"text", "more"})
    cluster.kubectl(
        "patch", f"toys.{GROUP}", "one", "-n", namespace, "--type=merge", "-p", '{"spec":{"keys":["text"]}}'
    )
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        await eventually(lambda: set(get(cluster, namespace, "ConfigMap")["data"]) == {"text"})


async def test_an_object_of_somebody_else_is_left_alone_and_reported(
    cluster: Cluster, namespace: str, toys: Make
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    cluster.api.create(path, {"metadata": {"name": "one"}, "data": {"text": "theirs"}})
    labelled = {"name": "two", "labels": {"app.kubernetes.io/managed-by": "toy-operator"}}
    cluster.api.create(path, {"metadata": labelled, "data": {"text": "theirs"}})
    orphan = {**labelled["labels"], "app.kubernetes.io/instance": "three"}  # type: ignore[dict-item]
    cluster.api.create(path, {"metadata": {"name": "three", "labels": orphan}, "data": {"text": "old"}})
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        for name in ("one", "two", "three"):
            toys(name, children=["ConfigMap", "Service"])
        for name in ("one", "two"):
            condition = await eventually(available, cluster, namespace, name)
            assert (condition["status"], condition["reason"]) == ("False", "ForeignObject")
            foreign = get(cluster, namespace, "ConfigMap", name)
            assert foreign["data"] == {"text": "theirs"}
            assert "ownerReferences" not in foreign["metadata"]
            assert get(cluster, namespace, "Service", name)
        condition = await eventually(available, cluster, namespace, "three")
        assert condition["status"] == "True"
        adopted = get(cluster, namespace, "ConfigMap", "three")
        assert adopted["metadata"]["ownerReferences"][0]["name"] == "three"


async def test_a_rejected_child_is_reported_and_the_others_are_applied(
    cluster: Cluster, namespace: str, toys: Make
) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", keys=["not a key!"], children=["ConfigMap", "Service"])
        condition = await eventually(available, cluster, namespace)
        assert (condition["status"], condition["reason"]) == ("False", "Rejected")
        assert "not a key!" in condition["message"]
        assert get(cluster, namespace, "Service")


async def test_changes_of_what_a_resource_names_reach_it(cluster: Cluster, namespace: str, toys: Make) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", secret="theirs", children=["Service"])
        await eventually(available, cluster, namespace)

        def seen(note: str) -> bool:
            return bool(get(cluster, namespace, "Toy")["status"]["seen"] == note)

        cluster.kubectl("create", "secret", "generic", "theirs", "-n", namespace)
        for note in ("first", "second"):
            cluster.kubectl("annotate", "secret", "theirs", "-n", namespace, f"note={note}", "--overwrite")
            await eventually(seen, note)


class StrictSpec(Model):
    size: Annotated[int, Field(le=3)] = 1


class Strict(CustomResource, group=GROUP, version="v1", kind="Toy"):
    """A toy as an older CRD let it pass."""

    spec: StrictSpec
    status: ToyStatus | None = None


async def test_an_invalid_resource_gets_a_condition_and_never_reaches_reconcile(
    cluster: Cluster, namespace: str, toys: Make
) -> None:
    called: list[str] = []

    async def spy(request: Request[Strict]) -> None:
        called.append(request.name)

    toys("one", size=4)
    toys("two", size=3)
    async with running(cluster.kubeconfig, Controller(Strict, spy), watch_namespaces=namespace):
        toy = await eventually(lambda: (found := get(cluster, namespace, "Toy")).get("status") and found)
        (condition,) = toy["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Degraded", "True", "InvalidResource")
        assert "spec.size" in condition["message"]
        events = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        await eventually(lambda: [e for e in cluster.api.get(events)[1]["items"] if e["reason"] == "InvalidResource"])
        assert called == ["two"]
