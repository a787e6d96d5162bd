"""What becomes of the pods when the operator itself is upgraded: nothing, until their resource asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.operator.conftest import Cache
from e2e.operator.test_in_place import events, fill, lives, statistics
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import base_image, reference
from memcached_demo import NAMESPACE, Demo
from waiting import eventually

pytestmark = pytest.mark.node

DEPLOYMENT = "deployment/demo-memcached-operator-controller-manager"
VARIABLES = ("RELATED_IMAGE_MEMCACHED", "RELATED_IMAGE_OPERATOR")


class Operator:
    """The operator's Deployment; another version is one that brings other images."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        template = cluster.get("deployment", DEPLOYMENT.partition("/")[2], "-n", NAMESPACE)["spec"]["template"]
        variables = {item["name"]: item.get("value") for item in template["spec"]["containers"][0]["env"]}
        self.original = {name: variables[name] for name in VARIABLES}

    def upgrade(self, **images: str) -> None:
        """Replace it by one that pods would have these images of."""
        words = (f"{name}={image}" for name, image in images.items())
        self._cluster.kubectl("--namespace", NAMESPACE, "set", "env", DEPLOYMENT, *words)
        self._cluster.kubectl("--namespace", NAMESPACE, "rollout", "status", DEPLOYMENT, "--timeout=120s")


@pytest.fixture
def operator(installed: Demo, node_cluster: Cluster) -> Iterator[Operator]:
    """The operator, put back afterwards."""
    found = Operator(node_cluster)
    yield found
    found.upgrade(**found.original)


def images(cache: Cache) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in cache.pods().values()}


def test_pods_live_on_until_their_resource_asks(cache: Cache, operator: Operator, node_cluster: Cluster) -> None:
    other = reference("memcached-trixie")
    node_cluster.load_images([base_image("memcached-trixie")])
    cache.apply(size=2, metrics={"enabled": True})
    cache.settle()
    fill(cache, "cache-0", 1000)
    before, first = lives(cache), images(cache)

    operator.upgrade(RELATED_IMAGE_MEMCACHED=other, RELATED_IMAGE_OPERATOR="localhost/never-pulled:2")
    eventually(lambda: "cache.example.com/rollout" in cache.condition("Progressing").get("message", ""))
    eventually(lambda: events(cache, "RolloutHeld"))
    cache.apply(size=3, memory="80Mi", metrics={"enabled": True})
    cache.settle()
    assert {name: life for name, life in lives(cache).items() if name in before} == before
    assert images(cache) == first, "a pod that is added is like the others"
    assert statistics(cache, "cache-0")["curr_items"] == 1000
    assert cache.resource()["status"]["memory"] == "80Mi"

    operator.upgrade(RELATED_IMAGE_OPERATOR=operator.original["RELATED_IMAGE_OPERATOR"])
    cache.apply(size=2, memory="80Mi", metrics={"enabled": True})
    cache.settle()
    assert "cache-2" not in cache.pods(), "the highest ordinal goes"
    cache.kubectl("annotate", "memcached", "cache", "cache.example.com/rollout=now")
    eventually(lambda: images(cache) == {other})
