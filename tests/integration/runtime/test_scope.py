"""Some namespaces only: nothing is asked for cluster-wide, and one that may not be read does not hold up the others."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

from integration.runtime.access import account, grant_toy
from integration.runtime.conftest import Audit, line
from integration.runtime.test_controller import available, get
from integration.runtime.toy import GROUP, controller
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually, running


def make(cluster: Cluster, namespace: str, name: str, **spec: Any) -> None:
    cluster.api.create(
        f"/apis/{GROUP}/v1/namespaces/{namespace}/toys",
        {"apiVersion": f"{GROUP}/v1", "kind": "Toy", "metadata": {"name": name}, "spec": spec},
    )


async def test_with_roles_in_two_namespaces_nothing_is_forbidden_and_nothing_cluster_wide(
    cluster: Cluster, namespace: str, other_namespace: str, audit: Audit, tmp_path: Path
) -> None:
    kubeconfig = account(cluster, namespace, "operator", tmp_path)
    grant_toy(cluster, (namespace, "operator"), [namespace, other_namespace])
    cluster.api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "foreign"}})
    scope = f"own,{other_namespace}"
    async with running(kubeconfig, controller(), watch_namespaces=scope, leader_elect=True):
        for where in (namespace, other_namespace):
            make(cluster, where, "one")
            await eventually(available, cluster, where)
        make(cluster, namespace, "foreign", children=["ConfigMap"])
        await eventually(available, cluster, namespace, "foreign")
        cluster.kubectl(
            "patch", f"toys.{GROUP}", "one", "-n", namespace, "--type=merge", "-p", '{"spec":{"children":["Service"]}}'
        )
        await eventually(lambda: not get(cluster, namespace, "StatefulSet"))
        await asyncio.sleep(2)
    user = f"system:serviceaccount:{namespace}:operator"
    everything = audit.requests(lambda event: event["user"]["username"] == user)
    assert len(everything) > 50
    assert [request for request in everything if request.endswith(" 403")] == []
    wide = audit.requests(
        lambda event: (
            event["user"]["username"] == user and "objectRef" in event and not event["objectRef"].get("namespace")
        )
    )
    assert wide == []


async def test_a_namespace_that_may_not_be_read_waits_for_its_role_and_holds_up_nobody(
    cluster: Cluster, namespace: str, other_namespace: str, tmp_path: Path
) -> None:
    kubeconfig = account(cluster, namespace, "operator", tmp_path)
    grant_toy(cluster, (namespace, "operator"), [namespace])
    make(cluster, other_namespace, "one")
    scope = f"{namespace},{other_namespace}"
    async with running(kubeconfig, controller(), watch_namespaces=scope) as manager:
        make(cluster, namespace, "one")
        await eventually(available, cluster, namespace)
        assert available(cluster, other_namespace) is None
        refused = [str(state) for state in manager.watches if state.problem]
        assert refused
        assert all(other_namespace in name for name in refused)
        grant_toy(cluster, (namespace, "operator"), [other_namespace])
        condition = await eventually(
            lambda: (found := available(cluster, other_namespace)) and found["status"] == "True" and found, within=180
        )
        assert condition


async def test_a_kind_that_may_not_be_read_is_reported_and_the_others_are_applied(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    kubeconfig = account(cluster, namespace, "operator", tmp_path)
    grant_toy(cluster, (namespace, "operator"), [namespace])
    role = cluster.get("role", f"{namespace}-operator-manager", "-n", namespace)
    for rule in role["rules"]:
        rule["resources"] = [resource for resource in rule["resources"] if resource != "ingresses"]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/{namespace}-operator-manager"
    assert cluster.api.request("PUT", path, role)[0] == 200
    async with running(kubeconfig, controller(), watch_namespaces=namespace):
        make(cluster, namespace, "one")
        condition = await eventually(available, cluster, namespace)
        assert (condition["status"], condition["reason"]) == ("False", "Unreadable")
        assert "Ingress" in condition["message"]
        assert get(cluster, namespace, "StatefulSet")


async def test_a_namespace_that_appears_later_is_looked_after(cluster: Cluster, audit: Audit) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=""):
        name = f"test-{secrets.token_hex(4)}"
        cluster.create_namespace(name)
        make(cluster, name, "one", children=["Service"])
        await eventually(available, cluster, name)
    cluster.api.delete(f"/api/v1/namespaces/{name}")
    assert audit.requests(lambda event: event.get("userAgent") == "kopf-sdk" and "namespaces" in line(event)) == []
