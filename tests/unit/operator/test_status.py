"""The status says what was observed, no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memcached_operator.rollout import NO_RESIZE, Rollout, Step, StepKind
from memcached_operator.rotation import Rotation
from memcached_operator.status import evaluate
from unit.operator.factory import memcached, pod

DONE = Rollout()


@pytest.mark.parametrize(
    ("size", "ready", "available", "reason"),
    [
        (0, 0, "True", "ScaledToZero"),
        (1, 0, "False", "TooFewPodsReady"),
        (1, 1, "True", "EnoughPodsReady"),
        (3, 1, "False", "TooFewPodsReady"),
        (3, 2, "True", "EnoughPodsReady"),
        (3, 3, "True", "EnoughPodsReady"),
    ],
)
def test_available_is_what_the_disruption_budget_guarantees(size: int, ready: int, available: str, reason: str) -> None:
    pods = [pod(f"cache-{ordinal}", ready=ordinal < ready) for ordinal in range(size)]
    status = evaluate(memcached(size=size), pods, DONE)
    assert status.conditions is not None
    condition = status.conditions[0]
    assert (condition.type, condition.status, condition.reason) == ("Available", available, reason)
    assert status.ready_replicas == ready


@pytest.mark.parametrize(
    ("pods", "rollout", "reason"),
    [
        ([pod("cache-0")], DONE, "Scaling"),
        ([pod("cache-0"), pod("cache-1", revision="old")], Rollout(["cache-1"]), "RollingOut"),
        (
            [pod("cache-0"), pod("cache-1")],
            Rollout(["cache-1"], planned=[Step(StepKind.REPLACE, pod("cache-1"), NO_RESIZE)]),
            "ResizeUnavailable",
        ),
        ([pod("cache-0"), pod("cache-1", ready=False)], DONE, "WaitingForPods"),
        ([pod("cache-0"), pod("cache-1", ready=False)], Rollout(undecided=True), "WaitingForPods"),
        ([pod("cache-0"), pod("cache-1")], Rollout(undecided=True), "RollingOut"),
        ([pod("cache-0"), pod("cache-1")], DONE, "UpToDate"),
    ],
)
def test_progressing_names_the_first_thing_that_is_missing(
    pods: list[dict[str, object]], rollout: Rollout, reason: str
) -> None:
    status = evaluate(memcached(size=2), pods, rollout)
    assert status.conditions is not None
    assert status.conditions[1].reason == reason
    assert status.conditions[1].status == ("False" if reason == "UpToDate" else "True")


def test_pods_are_not_what_the_resource_asks_for_when_the_stateful_set_cannot_be_made_so() -> None:
    status = evaluate(memcached(), [pod("cache-0")], DONE, refused=True)
    assert status.conditions is not None
    assert (status.conditions[1].status, status.conditions[1].reason) == ("True", "RollingOut")


def test_nodes_are_in_ordinal_order_and_pods_that_still_go_are_listed_last() -> None:
    pods = [pod("cache-10"), pod("cache-2"), pod("cache-0"), pod("cache-1")]
    assert evaluate(memcached(size=3), pods, DONE).nodes == ["cache-0", "cache-1", "cache-2", "cache-10"]


def test_a_rotation_is_under_way_until_it_was_seen_everywhere_and_degraded_when_it_takes_too_long() -> None:
    rotation = Rotation({"cache-0": "serves another certificate"})
    status = evaluate(memcached(), [pod("cache-0")], DONE, rotation=rotation)
    assert status.conditions is not None
    assert (status.conditions[1].status, status.conditions[1].reason) == ("True", "Rotating")
    assert "pod cache-0 serves another certificate" in status.conditions[1].message
    assert status.conditions[2].status == "False"
    status = evaluate(memcached(), [pod("cache-0")], DONE, rotation=replace(rotation, stuck=True))
    assert status.conditions is not None
    assert (status.conditions[2].status, status.conditions[2].reason) == ("True", "RotationStuck")
