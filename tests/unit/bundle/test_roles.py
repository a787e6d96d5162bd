"""RBAC rules: aggregation, what is sensitive, what covers what."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.grants import Grant, GrantIndex, effective_grants
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.roles import RoleIndex, may_create_bindings, sensitive


def obj(kind: str, name: str, namespace: str = "", **rest: Any) -> Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **rest.pop("metadata", {})}
    return Object({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **rest})


def rule(verbs: str, *resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": verbs.split(), **more}


def binding(role: str, namespace: str = "", kind: str = "ClusterRole", account: str = "a", home: str = "n") -> Object:
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": home}]
    return obj(
        "RoleBinding" if namespace else "ClusterRoleBinding",
        role,
        namespace,
        roleRef={"kind": kind, "name": role},
        subjects=subjects,
    )


def test_aggregation_goes_all_the_way() -> None:
    top = obj("ClusterRole", "top", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"x": "1"}}]}, rules=None)
    middle = obj(
        "ClusterRole",
        "middle",
        metadata={"labels": {"x": "1"}},
        aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"y": "1"}}]},
    )
    leaf = obj("ClusterRole", "leaf", metadata={"labels": {"y": "1"}}, rules=[rule("get", "pods")])

    assert RoleIndex([top, middle, leaf], {}).rules(("ClusterRole", "", "top")) == [rule("get", "pods")]


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([rule("get", "leases")], False),
        ([rule("get", "secrets")], True),
        ([rule("get", "secrets", resourceNames=["mine"])], False),
        ([rule("*", "leases")], True),
        ([rule("escalate", "x")], True),
        ([rule("create", "roles", group="rbac.authorization.k8s.io")], True),
    ],
)
def test_what_is_sensitive(rules: list[dict[str, Any]], verdict: bool) -> None:
    assert sensitive(rules) is verdict


def test_who_binds_at_run_time() -> None:
    assert may_create_bindings([rule("create", "rolebindings", group="rbac.authorization.k8s.io")])
    assert not may_create_bindings([rule("get", "rolebindings", group="rbac.authorization.k8s.io")])


def test_effective_rights() -> None:
    role = obj("ClusterRole", "r", rules=[rule("get list", "pods"), {"nonResourceURLs": ["/x"], "verbs": ["get"]}])

    grants, unknown = effective_grants([role, binding("r", "n"), binding("r", account="b"), binding("gone")], "n", {})

    assert grants == {
        Grant("a", "n", "pods", "", "get"),
        Grant("a", "n", "pods", "", "list"),
        Grant("b", "", "pods", "", "get"),
        Grant("b", "", "pods", "", "list"),
        Grant("b", "", "URL /x", "", "get"),
    }
    assert unknown == ["ClusterRoleBinding gone → gone"]


def test_an_account_elsewhere_is_not_ours() -> None:
    role = obj("ClusterRole", "r", rules=[rule("get", "pods")])

    assert effective_grants([role, binding("r", home="other")], "n", {})[0] == set()


@pytest.mark.parametrize(
    ("more", "covers"),
    [
        (Grant("a", "", "pods", "", "get"), True),
        (Grant("a", "", "*", "", "*"), True),
        (Grant("a", "", "*.*", "", "*"), True),
        (Grant("a", "", "pods", "x", "get"), False),
        (Grant("a", "m", "pods", "", "get"), False),
        (Grant("b", "", "pods", "", "get"), False),
        (Grant("a", "", "pods", "", "list"), False),
    ],
)
def test_what_covers_a_right(more: Grant, covers: bool) -> None:
    assert GrantIndex([more]).cover(Grant("a", "n", "pods", "", "get")) is covers
