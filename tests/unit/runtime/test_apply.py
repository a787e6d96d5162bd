"""What is decided about one child."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.apply import Applier, Wanted, judge
from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.errors import ForbiddenError, InvalidError, LeadershipLostError
from kopf_sdk.runtime.kinds import Kind

CONFIG_MAP, DEPLOYMENT = Kind("v1", "ConfigMap"), Kind("apps/v1", "Deployment")
OWNER = {"apiVersion": "x.dev/v1", "kind": "Toy", "metadata": {"name": "toy", "namespace": "ns", "uid": "owner"}}
LABELS = {"app.kubernetes.io/managed-by": "toys"}
CHILD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "child", "labels": {"app.kubernetes.io/instance": "toy"}},
    "data": {"a": "b"},
}


def wanted(**changes: Any) -> Wanted:
    return Wanted.of({**CHILD, **changes}, CONFIG_MAP, OWNER, LABELS)


def verdict(ours: bool = True, **metadata: Any) -> tuple[str, str]:
    """What is decided about the live child with this metadata."""
    manifest = json.loads(json.dumps(wanted().manifest))
    fields = {
        "f:data": {"f:a": {}},
        "f:metadata": {"f:labels": {f"f:{name}": {} for name in manifest["metadata"]["labels"]}},
    }
    managed = [{"manager": "toys", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}] if ours else []
    manifest["metadata"] |= {"uid": "child-uid", "resourceVersion": "7", "managedFields": managed, **metadata}
    store = Store(Source(CONFIG_MAP), "toys")
    store.put(manifest)
    decided = judge(wanted(), store.get("ns", "child"), "owner")
    return decided.step, decided.detail


def test_a_child_is_completed() -> None:
    manifest = wanted().manifest
    assert manifest["metadata"] == {
        "name": "child",
        "namespace": "ns",
        "labels": {"app.kubernetes.io/managed-by": "toys", "app.kubernetes.io/instance": "toy"},
        "ownerReferences": [
            {"apiVersion": "x.dev/v1", "kind": "Toy", "name": "toy", "uid": "owner", "controller": True}
        ],
    }
    assert wanted().digest == wanted().digest != wanted(data={"a": "c"}).digest


@pytest.mark.parametrize("metadata", [{}, {"name": "child", "namespace": "elsewhere"}])
def test_a_child_without_a_name_or_elsewhere_is_an_error_of_the_author(metadata: dict[str, str]) -> None:
    with pytest.raises(SdkError):
        wanted(metadata=metadata)


def test_missing_settled_and_leaving_children() -> None:
    assert judge(wanted(), None, "owner").step == "create"
    assert verdict() == ("keep", "")
    assert verdict(deletionTimestamp="2026-01-01T00:00:00Z")[0] == "wait"


def test_a_child_that_lost_its_owner_is_taken_back() -> None:
    assert verdict(ownerReferences=[]) == ("patch", "metadata.ownerReferences")
    assert verdict(ours=False, ownerReferences=[]) == ("patch", "metadata.ownerReferences")


def test_what_is_somebody_elses_is_foreign() -> None:
    assert verdict(ours=False, ownerReferences=[], labels={"app.kubernetes.io/instance": "other"})[0] == "foreign"
    other = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d", "controller": True}
    assert verdict(ownerReferences=[other]) == ("foreign", "it is controlled by Deployment d")


def test_a_child_of_a_deleted_namesake_is_waited_for() -> None:
    before = {"apiVersion": "x.dev/v1", "kind": "Toy", "name": "toy", "uid": "before", "controller": True}
    assert verdict(ownerReferences=[before])[0] == "wait"


class Cluster:
    """ConfigMaps, and Deployments, served and cached."""

    def __init__(self) -> None:
        self.cache = Store(Source(CONFIG_MAP), "toys")
        self.deployments = Store(Source(DEPLOYMENT), "toys")
        self.keeps: Callable[[dict[str, Any]], None] = lambda manifest: None
        """What the server does to what was applied."""
        self.refusal: Exception | None = None
        self.requests: list[str] = []
        self.answered = 0
        self.together = 0
        """So many requests were under way at the same time."""
        self.version = 10

    # The caches.

    def kind_of(self, child: Any) -> Kind:
        return next(kind for kind in self.kinds() if kind.kind == child["kind"])

    def store(self, kind: Kind) -> Store:
        return self.cache if kind == CONFIG_MAP else self.deployments

    def kinds(self) -> list[Kind]:
        return [CONFIG_MAP, DEPLOYMENT]

    def absent(self, kind: Kind) -> bool:
        return False

    def unreadable(self, kind: Kind, namespace: str | None) -> str | None:
        return None

    # The server.

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> dict[str, Any]:
        self.requests.append(f"{method} {path.removeprefix('/api/v1/namespaces/')}")
        self.together = max(self.together, len(self.requests) - self.answered)
        await asyncio.sleep(0)
        self.answered += 1
        if self.refusal is not None:
            raise self.refusal
        if method == "DELETE":
            return {"kind": "Status"}
        return self.kept(body)

    def kept(self, manifest: Any) -> dict[str, Any]:
        """Return an object as it is after an apply."""
        kept: dict[str, Any] = json.loads(json.dumps(manifest))
        self.keeps(kept)
        self.version += 1
        metadata = kept["metadata"]
        fields = {
            "f:data": {f"f:{name}": {} for name in kept["data"]},
            "f:metadata": {"f:labels": {f"f:{name}": {} for name in metadata["labels"]}},
        }
        managed = [{"manager": "toys", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}]
        uid = f"{metadata['namespace']}/{metadata['name']}"
        metadata |= {"uid": uid, "resourceVersion": str(self.version), "managedFields": managed}
        return kept


def applying(cluster: Any) -> Applier:
    return Applier(cluster, cluster, "toys", LABELS)


async def test_what_the_server_does_not_keep_does_not_hide_what_somebody_changes() -> None:
    cluster = Cluster()
    cluster.keeps = lambda manifest: manifest["data"].update(a="always this")
    applier = applying(cluster)
    child = {**CHILD, "data": {"a": "b", "c": "d"}}
    await applier.apply(OWNER, [child])
    for change in ("changed by hand", "changed again"):
        cluster.cache.put(cluster.kept(wanted(data={"a": "b", "c": change}).manifest))
        for _ in range(3):
            await applier.apply(OWNER, [child])
        live = cluster.cache.get("ns", "child")
        assert live is not None
        assert live.manifest()["data"] == {"a": "always this", "c": "d"}
    before = len(cluster.requests)
    cluster.cache.put(cluster.kept(wanted(data={"a": "b", "c": "d"}).manifest))
    for _ in range(3):
        await applier.apply(OWNER, [child])
    assert len(cluster.requests) == before


async def test_children_are_written_together_but_what_runs_pods_comes_last() -> None:
    cluster = Cluster()
    deployment = {**CHILD, "apiVersion": "apps/v1", "kind": "Deployment"}
    others = [{**CHILD, "metadata": {**CHILD["metadata"], "name": name}} for name in ("b", "c")]
    applied = await applying(cluster).apply(OWNER, [deployment, CHILD, *others])
    assert cluster.together == 3
    assert [path.rpartition("/")[2] for path in cluster.requests[:3]] == ["child", "b", "c"]
    assert cluster.requests[3:] == ["PATCH /apis/apps/v1/namespaces/ns/deployments/child"]
    assert [(change.kind.kind, change.name) for change in applied.changes][-1] == ("Deployment", "child")
    before = len(cluster.requests)
    assert (await applying(cluster).apply(OWNER, [deployment, CHILD, *others])).changes == []
    assert len(cluster.requests) == before


async def test_one_child_that_is_refused_keeps_no_other_from_being_applied() -> None:
    cluster = Cluster()
    refused = {**CHILD, "metadata": {**CHILD["metadata"], "name": "refused"}}
    cluster.keeps = refusing("refused", InvalidError("not so", status=422))
    applied = await applying(cluster).apply(OWNER, [refused, CHILD])
    assert [(problem.name, problem.reason, problem.message) for problem in applied.problems] == [
        ("refused", "Rejected", "not so")
    ]
    assert [change.name for change in applied.changes] == ["child"]
    cluster.keeps = refusing("refused", LeadershipLostError())
    with pytest.raises(LeadershipLostError):
        await applying(cluster).apply(OWNER, [refused, {**CHILD, "data": {"a": "new"}}])


def refusing(name: str, error: Exception) -> Callable[[dict[str, Any]], None]:
    def refuse(manifest: dict[str, Any]) -> None:
        if manifest["metadata"]["name"] == name:
            raise error

    return refuse


async def test_a_child_that_a_cluster_scoped_owner_wants_elsewhere_is_moved() -> None:
    cluster = Cluster()
    owner = {**OWNER, "metadata": {"name": "toy", "uid": "owner"}}
    for namespace in ("here", "there"):
        metadata = {**CHILD["metadata"], "namespace": namespace}
        await applying(cluster).apply(owner, [{**CHILD, "metadata": metadata}])
    assert {entry.namespace for entry in cluster.cache} == {"there"}
    assert "DELETE here/configmaps/child" in cluster.requests


async def test_a_namespace_on_its_way_out_is_no_problem_to_report() -> None:
    cluster = Cluster()
    message = "configmaps is forbidden: unable to create new content in namespace ns because it is being terminated"
    cluster.refusal = ForbiddenError(message, status=403)
    with pytest.raises(ForbiddenError):
        await applying(cluster).apply(OWNER, [CHILD])
    cluster.refusal = ForbiddenError("no such right", status=403)
    applied = await applying(cluster).apply(OWNER, [CHILD])
    assert [problem.reason for problem in applied.problems] == ["Forbidden"]
