"""Who asked for a change of the pods, and what of it needs new ones."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.stateful_set import stateful_set
from memcached_operator.operand import Operand
from memcached_operator.surroundings import Surroundings
from memcached_operator.template import Difference, asked, difference, held, metadata_patch
from unit.operator.factory import memcached

OLD = Operand(operator_image="operator:1", memcached_image="memcached:1")
NEW = Operand(operator_image="operator:2", memcached_image="memcached:2")
METRICS: dict[str, Any] = {"metrics": {"enabled": True}}


def made(live: dict[str, Any] | None, operand: Operand, resource: Memcached) -> dict[str, Any]:
    """What is applied, as the API server then has it."""
    answer = copy.deepcopy(stateful_set(resource, operand, Surroundings(stateful_set=live)))
    answer["spec"]["template"]["spec"].setdefault("dnsPolicy", "ClusterFirst")
    answer["status"] = {"updateRevision": "revision"}
    return answer


def images(stateful_set: dict[str, Any]) -> list[str]:
    return [container["image"] for container in stateful_set["spec"]["template"]["spec"]["containers"]]


def test_an_upgrade_of_the_operator_alone_changes_no_template_and_says_what_it_holds() -> None:
    resource = memcached(**METRICS)
    live = made(None, OLD, resource)
    upgraded = made(live, NEW, resource)
    assert upgraded["spec"] == live["spec"]
    assert held(upgraded) == ["image", "rest"]
    assert made(upgraded, NEW, resource) == upgraded
    assert held(made(upgraded, OLD, resource)) == []


@pytest.mark.parametrize("change", [{"size": 5}, {"memory": "1Gi"}, {"podLabels": {"a": "b"}}, {"paused": True}])
def test_what_changes_in_place_takes_nothing_along(change: dict[str, Any]) -> None:
    upgraded = made(made(None, OLD, memcached(**METRICS)), NEW, memcached(**METRICS, **change))
    assert images(upgraded) == ["memcached:1", "operator:1"]
    assert held(upgraded) == ["image", "rest"]
    assert made(upgraded, NEW, memcached(**METRICS, **change)) == upgraded


@pytest.mark.parametrize("change", [{"threads": 2}, {"image": "mine:1"}, {"nodeSelector": {"a": "b"}}])
def test_what_replaces_pods_anyway_takes_everything_along(change: dict[str, Any]) -> None:
    live = made(made(None, OLD, memcached(**METRICS)), NEW, memcached(**METRICS))
    changed = made(live, NEW, memcached(**METRICS, **change))
    assert images(changed) == [change.get("image", "memcached:2"), "operator:2"]
    assert held(changed) == []


def test_a_new_image_of_warm_pods_leaves_the_rest_as_it_is() -> None:
    warm: dict[str, Any] = {**METRICS, "warmRestart": {"enabled": True}}
    changed = made(made(None, OLD, memcached(**warm)), NEW, memcached(**warm, image="mine:1"))
    assert images(changed) == ["mine:1", "operator:1"]
    assert held(changed) == ["rest"]


def test_the_resource_asks_by_an_annotation_and_only_by_a_new_value_of_it() -> None:
    live = made(made(None, OLD, memcached(**METRICS)), NEW, memcached(**METRICS))
    asking = memcached(**METRICS)
    asking.metadata.annotations["cache.example.com/rollout"] = "1"
    changed = made(live, NEW, asking)
    assert images(changed) == ["memcached:2", "operator:2"]
    assert images(made(changed, OLD, asking)) == ["memcached:2", "operator:2"]
    asking.metadata.annotations.clear()
    assert images(made(changed, OLD, asking)) == ["memcached:2", "operator:2"]


def test_the_setting_lets_pods_follow_every_version() -> None:
    live = made(None, OLD, memcached(**METRICS))
    assert images(made(live, replace(NEW, rollout_on_upgrade=True), memcached(**METRICS))) == [
        "memcached:2",
        "operator:2",
    ]


def test_an_annotation_that_somebody_took_off_replaces_nothing() -> None:
    live = made(None, OLD, memcached(**METRICS))
    del live["metadata"]["annotations"]["cache.example.com/asked"]
    assert images(made(live, NEW, memcached(**METRICS))) == ["memcached:1", "operator:1"]


def test_defaults_ask_for_nothing() -> None:
    assert asked(memcached()) == asked(memcached(threads=4, metrics={"enabled": False}, imagePullSecrets=[], size=7))
    assert asked(memcached())["rest"] != asked(memcached(imagePullPolicy="Always"))["rest"]
    assert asked(memcached())["resources"] != asked(memcached(memory="65Mi"))["resources"]


def born(stateful_set: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = copy.deepcopy(stateful_set["spec"]["template"])
    pod["metadata"]["name"] = "cache-0"
    return pod


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({}, Difference()),
        ({"podLabels": {"a": "c"}, "podAnnotations": {"n": "1"}}, Difference()),
        ({"memory": "256Mi"}, Difference(item_memory=True, resources=True)),
        ({"memory": "256Mi", "probes": {"type": "tcp"}}, Difference(rest=True, arguments=True, resources=True)),
        ({"threads": 8}, Difference(arguments=True, resources=True)),
        ({"verbosity": 1}, Difference(arguments=True)),
        ({"image": "mine:2"}, Difference(image=True)),
        ({"resources": {"requests": {"cpu": 2}}}, Difference(resources=True)),
        ({"nodeSelector": {"a": "b"}}, Difference(rest=True)),
        ({"terminationGracePeriodSeconds": 1}, Difference(rest=True)),
    ],
)
def test_what_a_change_means_for_a_pod(change: dict[str, Any], missing: Difference) -> None:
    probes: dict[str, Any] = {"probes": {"type": "tcp"}} if "probes" in change else {}
    live = made(None, OLD, memcached(**probes))
    assert difference(born(live), made(live, OLD, memcached(**change))) == missing


def test_labels_come_and_go_and_those_of_others_stay() -> None:
    live = made(None, OLD, memcached(podLabels={"team": "a", "old": "1"}, podAnnotations={"note": "x"}))
    pod = born(live)
    pod["metadata"]["labels"]["others"] = "stays"
    patch = metadata_patch(pod, made(live, OLD, memcached(podLabels={"team": "b"})))["metadata"]
    assert patch["labels"] == {"team": "b", "old": None, "controller-revision-hash": "revision"}
    assert patch["annotations"]["note"] is None
    bare = metadata_patch(pod, made(live, OLD, memcached()))["metadata"]
    assert bare["labels"] == {"team": None, "old": None, "controller-revision-hash": "revision"}
    assert bare["annotations"] == {"note": None, "cache.example.com/given": None}
