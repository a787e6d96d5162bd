"""What is decided about one child."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.apply import Wanted, judge
from kopf_sdk.runtime.cache import Source, Store
from kopf_sdk.runtime.kinds import Kind

CONFIG_MAP = Kind("v1", "ConfigMap")
OWNER = {"apiVersion": "x.dev/v1", "kind": "Toy", "metadata": {"name": "toy", "namespace": "ns", "uid": "owner"}}
LABELS = {"app.kubernetes.io/managed-by": "toys"}
CHILD = {
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
