"""Patches of bundle.yaml: RFC 7396 and RFC 6902."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.config import Config, ObjectPatch, Target
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.rules import Rules
from kopf_sdk.errors import SdkError

DATA = {"apiVersion": "v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {"list": ["x", "y"], "deep": {"k": 1}}}


def patched(patch: dict[str, Any]) -> dict[str, Any]:
    config = Config(patches=[ObjectPatch(target=Target(kind="Job", name="a*"), **patch)])
    return dict(Rules(config).patched([Object(DATA)])[0].data["spec"])


def test_a_merge_patch() -> None:
    assert patched({"merge": {"spec": {"deep": {"k": None, "m": 2}, "list": ["z"]}}}) == {
        "deep": {"m": 2},
        "list": ["z"],
    }


def test_json_patch_operations() -> None:
    operations = [
        {"op": "test", "path": "/spec/list/0", "value": "x"},
        {"op": "add", "path": "/spec/list/1", "value": "between"},
        {"op": "add", "path": "/spec/list/-", "value": "end"},
        {"op": "remove", "path": "/spec/list/0"},
        {"op": "replace", "path": "/spec/deep/k", "value": 3},
        {"op": "copy", "from": "/spec/deep", "path": "/spec/copied"},
        {"op": "move", "from": "/spec/deep", "path": "/spec/moved"},
    ]

    assert patched({"json": operations}) == {"list": ["between", "y", "end"], "copied": {"k": 3}, "moved": {"k": 3}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/spec/nothing"},
        {"op": "replace", "path": "/spec/nothing", "value": 1},
        {"op": "add", "path": "/spec/list/9", "value": 1},
        {"op": "test", "path": "/spec/deep/k", "value": 2},
        {"op": "invent", "path": "/spec"},
        {"op": "add", "path": "spec", "value": 1},
        {"op": "remove", "path": "/kind"},
    ],
)
def test_a_patch_that_does_not_fit_is_an_error(operation: dict[str, Any]) -> None:
    with pytest.raises(SdkError, match=r"patches\[0\] on Job a"):
        patched({"json": [operation]})


def test_the_data_given_is_not_changed() -> None:
    patched({"json": [{"op": "remove", "path": "/spec/deep"}]})

    assert DATA["spec"] == {"list": ["x", "y"], "deep": {"k": 1}}
