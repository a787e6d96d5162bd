"""What a person at a terminal sees: columns, explanations, and numbers that `kubectl scale` may not set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integration.operator.conftest import GROUP_PATH, RESOURCE, Kubernetes
from kopf_sdk.generate import crd_manifests
from kopf_sdk.testing.cluster.kubectl import KubectlError
from memcached_operator.api.v1alpha1 import Memcached
from waiting import eventually

SCHEMA = crd_manifests([Memcached])[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def objects(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every part of the resource that has fields of its own."""
    yield path, schema
    for name, field in schema["properties"].items():
        part = field.get("items", field)
        if "properties" in part:
            yield from objects(part, f"{path}.{name}")


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        *objects(SCHEMA["properties"]["spec"], "memcached.spec"),
        *objects(SCHEMA["properties"]["status"], "memcached.status"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kubectl_explains_every_field(kubernetes: Kubernetes, path: str, schema: dict[str, Any]) -> None:
    text = kubernetes.cluster.kubectl("explain", path, f"--api-version={GROUP_PATH.removeprefix('/apis/')}")
    heading, _, listed = text.partition("FIELDS:\n")
    assert "<no description>" not in text
    assert " ".join(schema["description"].split()) in " ".join(heading.split())
    paragraphs = {
        block.split("\t", 1)[0].strip(): " ".join(block.partition("\n")[2].split()) for block in listed.split("\n\n")
    }
    for name, field in schema["properties"].items():
        told = " ".join(field.get("description", "").split())
        assert told in paragraphs[name]


def test_columns_say_how_a_cache_is(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache", size=2)
    eventually(lambda: len(kubernetes.pods()) == 2)
    kubernetes.make_ready("cache-0", "cache-1")
    eventually(lambda: kubernetes.condition("cache", "Available").get("status") == "True")
    lines = kubernetes.cluster.kubectl("get", RESOURCE, "-n", kubernetes.namespace).splitlines()
    assert lines[0].split() == ["NAME", "SIZE", "READY", "MEMORY", "VERSION", "AVAILABLE", "AGE"]
    # Nobody could ask the pods: what they run with is not claimed.
    assert lines[1].split()[:4] == ["cache", "2", "2", "True"]
    assert "memcached.cache.example.com/cache" in kubernetes.cluster.kubectl("get", "all", "-n", kubernetes.namespace)


@pytest.mark.parametrize(
    ("replicas", "words"), [("1001", "less than or equal to 1000"), ("0", "")], ids=["too many", "none"]
)
def test_scale_keeps_the_bounds_of_size(kubernetes: Kubernetes, replicas: str, words: str) -> None:
    kubernetes.apply("cache")
    eventually(lambda: kubernetes.condition("cache", "Available"))
    command = ("scale", f"{RESOURCE}/cache", f"--replicas={replicas}", "-n", kubernetes.namespace)
    if words:
        with pytest.raises(KubectlError, match=words):
            kubernetes.cluster.kubectl(*command)
        return
    kubernetes.cluster.kubectl(*command)
    eventually(lambda: kubernetes.condition("cache", "Available")["reason"] == "ScaledToZero")
    eventually(lambda: not kubernetes.pods())
    assert kubernetes.condition("cache", "Available")["status"] == "True"
