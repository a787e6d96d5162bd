"""Which cluster-scoped objects go with a package, and which stay."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.olm.leftovers import File, files_of, is_left, versions_of

RBAC = "rbac.authorization.k8s.io"


def plan(namespace: str, version: str, *names: str, kind: str = "ClusterRole", status: str = "Created") -> Any:
    steps = [
        {"resolving": version, "status": status, "resource": {"kind": kind, "group": RBAC, "name": name}}
        for name in names
    ]
    return {"metadata": {"name": "p", "namespace": namespace}, "status": {"plan": steps}}


def version(namespace: str, name: str, **spec: Any) -> Any:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def role(name: str) -> File:
    return File("ClusterRole", RBAC, name)


def live(**labels: str) -> Any:
    names = {"managed": "olm.managed", "owner": "olm.owner", "where": "olm.owner.namespace"}
    return {"metadata": {"name": "x", "labels": {names[key]: value for key, value in labels.items()}}}


def test_what_the_steps_of_all_its_versions_made_is_the_packages() -> None:
    plans = [plan("own", "op.v1", "a", "gone"), plan("own", "op.v2", "a", "b", status="Present")]
    mine, others = files_of(plans, [version("own", "op.v2")], "own", {"op.v1", "op.v2"})
    assert (mine, others) == ([role("a"), role("gone"), role("b")], set())
    assert (str(mine[0]), mine[0].resource) == ("ClusterRole/a", f"ClusterRole.{RBAC}")


def test_crds_and_what_has_a_namespace_and_steps_that_were_not_done_do_not_count() -> None:
    plans = [
        plan("own", "op.v1", "xs.example.com", kind="CustomResourceDefinition"),
        plan("own", "op.v1", "a", kind="ConfigMap"),
        plan("own", "op.v1", "a", status="Unknown"),
        {"metadata": {"name": "new", "namespace": "own"}},
    ]
    assert files_of(plans, [], "own", {"op.v1"}) == ([], set())


@pytest.mark.parametrize(
    ("installed", "shared"),
    [
        ([version("own", "dependency.v1")], {role("b")}),
        ([version("other", "op.v1")], {role("a")}),
        ([version("own", "op.v1")], set()),
    ],
)
def test_what_another_installed_bundle_has_as_well_is_told(installed: list[Any], shared: set[File]) -> None:
    plans = [plan("own", "op.v1", "a", "b"), plan("own", "dependency.v1", "b"), plan("other", "op.v1", "a")]
    assert files_of(plans, installed, "own", {"op.v1"}) == ([role("a"), role("b")], shared)


def test_the_versions_of_a_package_are_those_there_and_those_that_were() -> None:
    found = [version("own", "op.v3", replaces="op-with-another-name.v2")]
    plans = [plan("own", "op.v1", "a"), plan("own", "dependency.v1", "b")]
    assert versions_of("op", found, plans) == {"op.v3", "op-with-another-name.v2", "op.v1"}


def test_only_what_olm_made_for_these_versions_is_left_of_them() -> None:
    assert is_left(live(managed="true"), "own", {"op.v1"})
    assert is_left(live(managed="true", owner="op.v1"), "own", {"op.v1"})
    assert is_left(live(managed="true", owner="op.v1", where="own"), "own", {"op.v1"})
    assert not is_left(live(managed="true", owner="op.v1", where="other"), "own", {"op.v1"})
    assert not is_left(live(managed="true", owner="else.v1"), "own", {"op.v1"})
    assert not is_left(live(), "own", {"op.v1"})
    assert not is_left({}, "own", {"op.v1"})
