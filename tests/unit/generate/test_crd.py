"""The CustomResourceDefinition around the schemas."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.api import CustomResource, Model, PrinterColumn, Scale
from kopf_sdk.errors import SdkError
from kopf_sdk.generate import crd_manifests


class Spec(Model):
    size: int = 1


def kind(version: str, name: str = "Cache", **arguments: Any) -> type[CustomResource]:
    class Made(CustomResource, kind=name, group="example.com", version=version, **arguments):
        spec: Spec = Spec()

    return Made


def test_versions_of_a_kind_share_a_definition() -> None:
    crds = crd_manifests([kind("v1"), kind("v1", name="Other"), kind("v1beta1", storage=False)])
    assert [crd["metadata"]["name"] for crd in crds] == ["caches.example.com", "others.example.com"]
    versions = crds[0]["spec"]["versions"]
    assert [(version["name"], version["storage"]) for version in versions] == [("v1", True), ("v1beta1", False)]


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ([kind("v1"), kind("v2")], "caches.example.com: exactly one version is stored, but v1, v2 all are"),
        ([kind("v1", storage=False)], "exactly one version is stored, but none is"),
        ([kind("v1"), kind("v1", storage=False)], "a version is defined twice"),
        ([kind("v1"), kind("v2", storage=False, scope="Cluster")], "scope is the same for all versions"),
        ([kind("v1"), kind("v1", name="CACHE")], "Cache and CACHE would both be caches.example.com"),
        ([kind("1")], "version is '1'"),
        ([kind("v1", plural="Caches")], "plural is 'Caches'"),
        ([kind("v1", short_names=["MC"])], "short_names is 'MC'"),
        ([kind("v1", scope="cluster")], "scope is 'cluster'"),
        (
            [kind("v1", printer_columns=[PrinterColumn(name="A", path="spec.size")])],
            "path of the printer column A is 'spec.size'",
        ),
        (
            [kind("v1", printer_columns=[PrinterColumn(name="A", path=".a", type="int")])],  # type: ignore[arg-type]
            "type of the printer column A is 'int'",
        ),
        ([kind("v1", scale=Scale())], "scale.spec is '.spec.replicas', and there is no such field"),
        ([kind("v1", scale=Scale(spec="spec.size"))], "scale.spec is 'spec.size', and there is no such field"),
        ([kind("v1", selectable_fields=[".spec"])], "selectable_fields is '.spec', and the field is no string"),
        ([kind("v1", short_names=["c"]), kind("v2", storage=False)], "short_names is the same for all versions"),
    ],
)
def test_contradictions(kinds: list[type[CustomResource]], message: str) -> None:
    with pytest.raises(SdkError) as refused:
        crd_manifests(kinds)
    assert message.removeprefix("caches.example.com: ") in refused.value.message
    assert refused.value.hint


def test_a_group_without_a_dot_is_refused() -> None:
    class Made(CustomResource, group="example", version="v1"):
        spec: Spec = Spec()

    with pytest.raises(SdkError, match="Made: group is 'example'"):
        crd_manifests([Made])


def test_a_class_without_group_is_refused() -> None:
    class Base(CustomResource):
        spec: Spec = Spec()

    with pytest.raises(SdkError, match="Base is no kind"):
        crd_manifests([Base])


def test_no_status_no_subresource() -> None:
    assert "subresources" not in crd_manifests([kind("v1")])[0]["spec"]["versions"][0]


def test_conversion_by_webhook() -> None:
    crd = crd_manifests([kind("v1", conversion="Webhook")])[0]
    assert crd["spec"]["conversion"]["strategy"] == "Webhook"
    assert list(crd["spec"]) == ["group", "names", "scope", "conversion", "versions"]
