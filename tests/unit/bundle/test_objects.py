"""A rendering taken apart."""

from __future__ import annotations

import pytest

from kopf_sdk.bundle.objects import Ref, labels_match, parse_stream, selects
from kopf_sdk.errors import SdkError


def test_documents_lists_and_sources() -> None:
    text = """
# only a comment
---
# Source: chart/templates/a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: n}
---
---
# Source: chart/templates/b.yaml
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Secret, metadata: {name: b}}
- {apiVersion: batch/v1, kind: Job, metadata: {name: c, annotations: {helm.sh/hook: "pre-install, post-install"}}}
"""
    objects = parse_stream(text)

    assert [(obj.ref, obj.source) for obj in objects] == [
        (Ref("ConfigMap", "a", "n"), "chart/templates/a.yaml"),
        (Ref("Secret", "b"), "chart/templates/b.yaml"),
        (Ref("Job", "c"), "chart/templates/b.yaml"),
    ]
    assert objects[2].hooks == ("pre-install", "post-install")


def test_a_source_may_stand_in_a_document_of_its_own() -> None:
    text = """---
# Source: chart/templates/a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
# Source: chart/crds/b.yaml

---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
"""
    assert [obj.source for obj in parse_stream(text)] == ["chart/templates/a.yaml", "chart/crds/b.yaml"]
    with pytest.raises(SdkError, match=r"document 2 \(line 10, chart/crds/b.yaml\)"):
        parse_stream(text.replace("metadata: {name: b}", ""))


def test_a_document_may_start_beside_its_separator() -> None:
    pod = "apiVersion: v1, kind: Pod, metadata:"
    text = f"--- # first\n{{{pod} {{name: a}}}}\n--- {{{pod} {{name: b}}}}\n"

    assert [obj.name for obj in parse_stream(text)] == ["a", "b"]


def test_a_custom_resource_that_ends_in_list_is_no_list() -> None:
    text = "apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [1]\n"

    assert [obj.kind for obj in parse_stream(text)] == ["AllowList"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "a Kubernetes object is a mapping"),
        ("kind: Pod\nmetadata: {name: a}\n", "no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "no kind"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a}\n", "without metadata.name"),
    ],
)
def test_bad_documents_are_errors(text: str, message: str) -> None:
    with pytest.raises(SdkError, match=f"document 1 .*{message}"):
        parse_stream(text)


def test_selectors() -> None:
    assert selects({"a": "1"}, {"a": "1", "b": "2"})
    assert not selects({}, {"a": "1"})
    expressions = [{"key": "a", "operator": "In", "values": ["1", "2"]}, {"key": "b", "operator": "DoesNotExist"}]
    assert labels_match({"matchExpressions": expressions}, {"a": "2"})
    assert not labels_match({"matchExpressions": expressions}, {"a": "2", "b": ""})
