"""What is drift, and what only looks like it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kopf_sdk.runtime.drift import first_difference, normalized

DESIRED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "x", "namespace": "ns", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "spec": {
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "main",
                        "image": "i",
                        "args": ["-m", "64"],
                        "env": [{"name": "CPU", "value": "1000m"}],
                        "ports": [{"containerPort": 11211}],
                        "resources": {"limits": {"memory": "1024Mi", "cpu": 1}},
                    }
                ],
            }
        },
    },
}
FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:env": {'k:{"name":"CPU"}': {".": {}, "f:name": {}, "f:value": {}}},
                        "f:ports": {'k:{"containerPort":11211,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                        "f:resources": {"f:limits": {"f:memory": {}, "f:cpu": {}}},
                    }
                },
            }
        },
    },
}


def live() -> dict[str, Any]:
    """The desired object as the API server shows it: defaults added, quantities in their canonical form."""
    manifest = copy.deepcopy(DESIRED)
    manifest["metadata"] |= {"uid": "1", "resourceVersion": "5", "generation": 1}
    manifest["spec"] |= {"revisionHistoryLimit": 10, "strategy": {"type": "RollingUpdate"}}
    pod = manifest["spec"]["template"]["spec"]
    pod |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    container = pod["containers"][0]
    container |= {"imagePullPolicy": "Always", "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}
    container["ports"][0]["protocol"] = "TCP"
    manifest["status"] = {"replicas": 1}
    return manifest


def difference(desired: dict[str, Any], manifest: dict[str, Any], fields: dict[str, Any] | None = None) -> str | None:
    return first_difference(desired, manifest, json.dumps(FIELDS if fields is None else fields))


def test_defaults_and_canonical_quantities_are_no_drift() -> None:
    assert difference(DESIRED, live()) is None


def at(manifest: dict[str, Any], path: str) -> tuple[Any, Any]:
    *parents, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    node: Any = manifest
    for step in parents:
        node = node[step]
    return node, last


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec/replicas", 2, "spec.replicas"),
        ("metadata/labels", {"a": "c"}, "metadata.labels.a"),
        ("spec/selector/matchLabels/more", "x", "spec.selector.matchLabels.more"),
        ("spec/template/spec/containers/0/args/1", "65", "spec.template.spec.containers[main].args[1]"),
        ("spec/template/spec/containers/0/args", ["-m"], "spec.template.spec.containers[main].args"),
        # The same quantity, but an environment variable is no quantity.
        ("spec/template/spec/containers/0/env/0/value", "1", "spec.template.spec.containers[main].env[CPU].value"),
        (
            "spec/template/spec/containers/0/resources/limits/memory",
            "1025Mi",
            "spec.template.spec.containers[main].resources.limits.memory",
        ),
        ("spec/template/spec/containers/0/name", "other", "spec.template.spec.containers[main]"),
        ("spec/template/spec/volumes", [], "spec.template.spec.volumes[tmp]"),
    ],
)
def test_a_changed_value_is_drift(path: str, value: Any, expected: str) -> None:
    manifest = live()
    node, last = at(manifest, path)
    node[last] = value
    assert difference(DESIRED, manifest) == expected


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec/paused", True),
        ("metadata/labels/theirs", "x"),
        ("metadata/annotations", {"theirs": "x"}),
        ("spec/template/spec/containers/1", {"name": "sidecar"}),
        ("status/replicas", 7),
    ],
)
def test_what_others_add_is_theirs(path: str, value: Any) -> None:
    manifest = live()
    node, last = at(manifest, path)
    if isinstance(node, list):
        node.append(value)
    else:
        node[last] = value
    assert difference(DESIRED, manifest) is None


def test_a_field_that_is_no_longer_wanted_is_drift() -> None:
    desired = copy.deepcopy(DESIRED)
    del desired["spec"]["replicas"]
    assert difference(desired, live()) == "spec.replicas"
    desired = copy.deepcopy(DESIRED)
    desired["spec"]["template"]["spec"]["containers"][0]["env"] = []
    assert difference(desired, live()) == 'spec.template.spec.containers[{"name":"main"}].env[{"name":"CPU"}]'
    desired = copy.deepcopy(DESIRED)
    del desired["metadata"]["labels"]
    assert difference(desired, live()) == "metadata"


def test_a_field_that_somebody_else_took_over_is_drift_even_with_the_same_value() -> None:
    fields = copy.deepcopy(FIELDS)
    del fields["f:spec"]["f:replicas"]
    assert difference(DESIRED, live(), fields) == "spec.replicas"


def test_what_we_never_applied_is_drift() -> None:
    assert first_difference(DESIRED, live(), None) == "metadata.managedFields"


def test_known_defaults_inside_what_is_owned_as_a_whole_are_no_drift() -> None:
    desired: Any = {"metadata": {"name": "x"}, "spec": {"ingress": [{"ports": [{"port": 1}]}]}}
    manifest: Any = {"metadata": {"name": "x"}, "spec": {"ingress": [{"ports": [{"port": 1, "protocol": "TCP"}]}]}}
    fields: Any = {"f:spec": {"f:ingress": {}}}
    assert difference(desired, manifest, fields) is None
    manifest["spec"]["ingress"][0]["from"] = [{"podSelector": {}}]
    assert difference(desired, manifest, fields) == "spec.ingress[0].from"
    manifest["spec"]["ingress"] = []
    assert difference(desired, manifest, fields) == "spec.ingress"


def test_two_ports_of_the_same_number_are_told_apart_by_their_protocol() -> None:
    ports = [{"port": 1, "name": "a"}, {"port": 1, "name": "b", "protocol": "UDP"}]
    desired = {"metadata": {"name": "x"}, "spec": {"ports": ports}}
    manifest: Any = {"metadata": {"name": "x"}, "spec": {"ports": [ports[0] | {"protocol": "TCP"}, ports[1]]}}
    tcp, udp = '{"port":1,"protocol":"TCP"}', '{"port":1,"protocol":"UDP"}'
    item: Any = {".": {}, "f:port": {}, "f:name": {}}
    fields = {"f:spec": {"f:ports": {f"k:{tcp}": item, f"k:{udp}": {**item, "f:protocol": {}}}}}
    assert difference(desired, manifest, fields) is None
    manifest["spec"]["ports"].reverse()
    assert difference(desired, manifest, fields) == "spec.ports[b]"


def test_sets() -> None:
    desired = {"metadata": {"name": "x", "finalizers": []}, "spec": {"modes": ["a", "b"]}}
    manifest = {"metadata": {"name": "x"}, "spec": {"modes": ["a", "theirs", "b"]}}
    fields: Any = {"f:spec": {"f:modes": {'v:"a"': {}, 'v:"b"': {}}}}
    assert difference(desired, manifest, fields) is None
    desired["spec"] = {"modes": ["a"]}
    assert difference(desired, manifest, fields) == 'spec.modes["b"]'
    desired["spec"] = {"modes": ["a", "b", "c"]}
    assert difference(desired, manifest, fields) == "spec.modes[c]"


JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=12,
)


def owned(value: Any) -> dict[str, Any]:
    return {f"f:{key}": owned(item) for key, item in value.items()} if isinstance(value, dict) else {}


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, min_size=1, max_size=4))
def test_what_was_applied_and_left_alone_is_settled(spec: dict[str, Any]) -> None:
    manifest = {"metadata": {"name": "x"}, "spec": spec}
    assert first_difference(manifest, copy.deepcopy(manifest), json.dumps({"f:spec": owned(spec)})) is None


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, min_size=1, max_size=4),
    st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, min_size=1, max_size=4),
)
def test_a_change_of_what_is_wanted_is_never_missed(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = ({"metadata": {"name": "x"}, "spec": spec} for spec in (before, after))
    found = first_difference(new, old, json.dumps({"f:spec": owned(before)}))
    assert (found is None) <= (pruned(before) == pruned(after))


def pruned(value: Any) -> Any:
    """Without what is empty: the API server keeps no difference between an absent and an empty field."""
    if isinstance(value, dict):
        inner = {key: pruned(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ({}, "")} or ""
    return value


def test_normalizing() -> None:
    secret = {"kind": "Secret", "stringData": {"a": "b"}, "data": {"c": "ZA=="}, "x": None, "y": [{"z": None}]}
    assert normalized(secret) == {"kind": "Secret", "data": {"a": "Yg==", "c": "ZA=="}, "y": [{}]}
