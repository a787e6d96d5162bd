"""Pods are replaced a few at a time, and never while others are missing."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from memcached_operator.api.v1alpha1.pods import UpdateStrategy
from memcached_operator.fleet import Observation
from memcached_operator.rollout import SWAP_UNDER_WAY, Abilities, Rollout, StepKind, choose, plan
from memcached_operator.template import Difference
from unit.operator.factory import NOW, pod, stateful_set

WAITING = {"containerStatuses": [{"name": "memcached", "state": {"waiting": {"reason": "ErrImagePull"}}}]}
EVERYTHING = Abilities(resize=True, reachable=True, warm=True, handover=True)


def planned(stateful_set: dict[str, Any] | None, pods: list[dict[str, Any]], **strategy: int) -> Rollout:
    return plan(stateful_set, pods, UpdateStrategy.model_validate(strategy), now=NOW)


def replaced(*args: Any, **strategy: int) -> list[str]:
    """What is done to pods whose image is not the template's, without memory files."""
    stateful_set, pods = args
    for item in pods:
        if item["metadata"]["labels"]["controller-revision-hash"] == "old":
            item["metadata"]["annotations"]["cache.example.com/image"] = "memcached:1"
    steps = planned(stateful_set, pods, **strategy).steps
    assert {step.kind for step in steps} <= {StepKind.REPLACE}
    return [step.name for step in steps]


def test_nothing_is_replaced_when_every_pod_runs_the_template() -> None:
    assert planned(stateful_set(2), [pod("cache-0"), pod("cache-1")]) == Rollout()


def test_the_highest_ordinal_goes_first_also_beyond_nine() -> None:
    pods = [pod(f"cache-{ordinal}", revision="old") for ordinal in range(11)]
    assert replaced(stateful_set(11), pods) == ["cache-10"]


def test_as_many_go_together_as_the_strategy_allows() -> None:
    pods = [pod(f"cache-{ordinal}", revision="old") for ordinal in range(4)]
    assert replaced(stateful_set(4), pods, maxUnavailable=2) == ["cache-3", "cache-2"]
    pods[0] = pod("cache-0", ready=False, ready_since=NOW - dt.timedelta(seconds=5))
    assert replaced(stateful_set(4), pods, maxUnavailable=2) == ["cache-3"]


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ([pod("cache-1", ready=False)], "another one does not serve yet"),
        ([pod("cache-1", leaving=True)], "another one is on its way out"),
        ([], "another one is missing"),
    ],
)
def test_a_serving_pod_stays_while(others: list[dict[str, Any]], why: str) -> None:
    assert replaced(stateful_set(2), [pod("cache-0", revision="old"), *others]) == [], why


def test_a_new_pod_has_to_fill_its_cache_before_the_next_one_goes() -> None:
    young = pod("cache-1", ready_since=NOW - dt.timedelta(seconds=20))
    old = pod("cache-0", revision="old", image="memcached:1")
    rollout = planned(stateful_set(2), [old, young], minReadySeconds=60)
    assert rollout.steps == []
    assert rollout.wait == 40


def test_an_outdated_pod_that_never_served_goes_at_once_because_it_has_nothing_to_lose() -> None:
    pods = [pod("cache-0", revision="old"), pod("cache-1", revision="old", ready=False), pod("cache-2", ready=False)]
    assert replaced(stateful_set(3), pods) == ["cache-1"]


def test_a_pod_that_just_fell_silent_keeps_its_items_because_a_busy_node_answers_late() -> None:
    late = pod("cache-0", revision="old", image="memcached:1", silent_since=NOW - dt.timedelta(seconds=20))
    rollout = planned(stateful_set(2), [late, pod("cache-1", ready=False, running=False)])
    assert (rollout.steps, rollout.wait) == ([], 40)
    gone = pod("cache-0", revision="old", image="memcached:1", silent_since=NOW - dt.timedelta(seconds=60))
    rollout = planned(stateful_set(2), [gone, pod("cache-1")])
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-0", StepKind.REPLACE)]
    warm = plan(stateful_set(1), [late], UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert (warm.steps, warm.wait) == ([], 40), "what it shall start with is tried first, while it serves"


MINUTES_AGO = NOW - dt.timedelta(minutes=5)


def test_pods_that_hold_items_go_no_faster_because_they_are_silent() -> None:
    """A node that is busy for minutes lets the probes of all its pods fail; memcached is at it all the time."""
    pods = [pod(f"cache-{ordinal}", revision="old", silent_since=MINUTES_AGO) for ordinal in range(3)]
    assert replaced(stateful_set(3), pods) == ["cache-2"]
    assert replaced(stateful_set(3), pods, maxUnavailable=2) == ["cache-2", "cache-1"]
    pods[2] = pod("cache-2", ready=False, ready_since=NOW - dt.timedelta(seconds=5))
    assert replaced(stateful_set(3), pods) == [], "the new one does not serve yet"
    pods[2] = pod("cache-2")
    assert replaced(stateful_set(3), pods) == ["cache-1"]


def test_items_of_a_silent_pod_are_handed_over_where_that_is_wanted() -> None:
    pods = [pod("cache-0", revision="old", rest="other", silent_since=MINUTES_AGO), pod("cache-1")]
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-0", StepKind.HANDOVER)]


def test_a_pod_whose_node_does_not_report_is_left_alone_because_it_may_serve_and_would_have_no_successor() -> None:
    lost = pod("cache-0", revision="old", silent_since=MINUTES_AGO, in_touch=False)
    assert replaced(stateful_set(2), [lost, pod("cache-1")]) == []


def test_a_pod_that_gets_its_items_back_is_not_replaced_under_them_when_the_template_changes_again() -> None:
    pods = [pod(f"cache-{ordinal}", revision="old", rest="other") for ordinal in range(3)]

    def steps(new: dict[str, Any], **strategy: int) -> list[str]:
        wanted, back = UpdateStrategy.model_validate(strategy), {"cache-2": 1.0}
        all_pods = [*pods[:2], new]
        rollout = plan(stateful_set(3), all_pods, wanted, now=NOW, warming=back, returning=back, abilities=EVERYTHING)
        return [step.name for step in rollout.steps]

    assert steps(pods[2], maxUnavailable=2) == ["cache-1"]
    starting: dict[str, Any] = {"revision": "old", "rest": "other", "ready": False}
    assert steps(pod("cache-2", ready_since=NOW - dt.timedelta(seconds=5), **starting)) == []
    assert steps(pod("cache-2", running=False, **starting)) == ["cache-2"], "it does not start: nothing is in it yet"


def test_a_memory_file_outlives_the_process_that_is_just_restarting() -> None:
    """Its template changed again, while memcached restarts for the change before."""
    late = NOW - dt.timedelta(seconds=20)
    for why in ({"annotations": {SWAP_UNDER_WAY: "{}"}}, {"restarts": 1}):
        other: dict[str, Any] = {"revision": "old", "rest": "other", "ready": False, "warm": True, **why}
        restarting = pod("cache-0", ready_since=late, running=False, **other)
        assert planned(stateful_set(1), [restarting]).steps == []
        broken = restarting | {"status": restarting["status"] | WAITING}
        assert [step.kind for step in planned(stateful_set(1), [broken]).steps] == [StepKind.REPLACE]


def test_a_new_pod_is_looked_at_again_when_its_time_to_get_ready_is_over() -> None:
    starting = pod("cache-1", ready=False, ready_since=NOW - dt.timedelta(seconds=10))
    rollout = planned(stateful_set(2), [pod("cache-0", revision="old", image="memcached:1"), starting])
    assert (rollout.stopped, rollout.wait) == ("", 50)
    late = pod("cache-1", silent_since=NOW - dt.timedelta(seconds=10))
    rollout = planned(stateful_set(2), [pod("cache-0", revision="old", image="memcached:1"), late])
    assert (rollout.stopped, rollout.wait) == ("", 50), "it served for a day"


def test_pods_that_go_because_fewer_are_wanted_neither_count_nor_take_anybodys_turn() -> None:
    """The watch of pods may be behind that of StatefulSets: they look as if they would stay."""
    pods = [pod(f"cache-{ordinal}", revision="old") for ordinal in range(5)]
    assert replaced(stateful_set(3), pods) == ["cache-2"]


def test_a_pod_on_its_way_out_is_not_deleted_again() -> None:
    assert replaced(stateful_set(1), [pod("cache-0", revision="old", leaving=True)]) == []


def test_nothing_is_decided_before_the_stateful_set_controller_has_seen_the_template() -> None:
    pods = [pod("cache-0", revision="old")]
    assert replaced(stateful_set(1, generation=3, observed=2), pods) == []
    assert replaced(None, pods) == []


def kind(can: Abilities, **missing: bool) -> StepKind:
    return choose(pod("cache-0"), Difference(**missing), can).kind


@pytest.mark.parametrize(
    ("missing", "with_everything", "with_nothing"),
    [
        ({}, "adopt", "adopt"),
        ({"resources": True, "item_memory": True}, "resize", "replace"),
        ({"image": True}, "swap", "replace"),
        ({"arguments": True, "resources": True}, "swap", "replace"),
        ({"rest": True}, "handover", "replace"),
        ({"rest": True, "image": True, "resources": True}, "handover", "replace"),
    ],
)
def test_the_gentlest_step_is_taken_that_can_be(
    missing: dict[str, bool], with_everything: str, with_nothing: str
) -> None:
    assert kind(EVERYTHING, **missing) == with_everything
    assert kind(Abilities(), **missing) == with_nothing


def test_what_turned_out_impossible_is_not_tried_again_and_said() -> None:
    refused = {("uid-of-cache-0", StepKind.RESIZE): "its node has no room"}
    step = choose(pod("cache-0"), Difference(resources=True), Abilities(resize=True, impossible=refused))
    assert (step.kind, step.why) == (StepKind.REPLACE, "its node has no room")
    both = {("uid-of-cache-0", kind): f"no {kind}" for kind in (StepKind.SWAP, StepKind.HANDOVER)}
    step = choose(pod("cache-0"), Difference(image=True), Abilities(warm=True, handover=True, impossible=both))
    assert (step.kind, step.why) == (StepKind.REPLACE, "no swap; no handover")
    assert "cannot resize" in choose(pod("cache-0"), Difference(resources=True), Abilities()).why


def test_what_interrupts_nobody_is_done_to_all_at_once_whatever_the_budget() -> None:
    pods = [pod("cache-0", revision="old"), pod("cache-1", revision="old", memory=32), pod("cache-2", ready=False)]
    rollout = plan(stateful_set(3), pods, UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-1", "resize"), ("cache-0", "adopt")]


def test_what_needs_a_new_pod_waits_for_its_turn_while_a_higher_one_is_still_being_resized() -> None:
    pods = [pod(f"cache-{ordinal}", revision="old", memory=32) for ordinal in range(2)]
    refused = {("uid-of-cache-0", StepKind.RESIZE): "no room"}
    can = Abilities(resize=True, reachable=True, impossible=refused)
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, abilities=can)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-1", StepKind.RESIZE)]
    both = Abilities(True, True, impossible=refused | {("uid-of-cache-1", StepKind.RESIZE): "no room"})
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, abilities=both)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-1", StepKind.REPLACE)]


def test_a_pod_whose_container_does_not_run_is_replaced_rather_than_resized() -> None:
    crashed = pod("cache-0", revision="old", memory=32, ready=False, running=False)
    for warm, done in ((False, StepKind.REPLACE), (True, StepKind.RESIZE)):  # a memory file may hold items
        can = Abilities(resize=True, reachable=True, warm=warm)
        rollout = plan(stateful_set(1), [crashed], UpdateStrategy(), now=NOW, abilities=can)
        assert [step.kind for step in rollout.steps] == [done]


def test_labels_are_given_also_to_a_pod_that_is_just_restarting() -> None:
    restarting = pod("cache-0", revision="old", ready=False, running=False)
    rollout = plan(stateful_set(1), [restarting], UpdateStrategy(), now=NOW)
    assert [step.kind for step in rollout.steps] == [StepKind.ADOPT]


def test_memcached_that_started_with_another_limit_than_its_pod_says_is_put_right() -> None:
    seen = {"cache-0": Observation("1.6.45", 32 * 2**20), "cache-1": Observation("1.6.45", 64 * 2**20)}
    pods = [pod("cache-0"), pod("cache-1")]
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, abilities=EVERYTHING, running=seen)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-0", StepKind.RESIZE)]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (pod("cache-2", ready=False, ready_since=NOW - dt.timedelta(minutes=2)), "does not get ready"),
        (pod("cache-2", ready=False, running=False) | {"status": WAITING}, "does not start"),
    ],
)
def test_a_rollout_stops_at_a_pod_that_does_not_come_up_whatever_the_budget(new: dict[str, Any], why: str) -> None:
    pods = [pod(f"cache-{ordinal}", revision="old", image="memcached:1") for ordinal in range(2)]
    rollout = planned(stateful_set(3), [*pods, new], maxUnavailable=3)
    assert rollout.steps == []
    assert "cache-2" in rollout.stopped
    assert why in rollout.stopped


def test_no_pod_with_items_goes_while_its_successor_would_wait_for_a_secret_that_is_not_there() -> None:
    """A misspelt name in spec.tls must not cost a cache."""
    pods = [pod("cache-0", revision="old", rest="other"), pod("cache-1", revision="old", rest="other", ready=False)]
    lacking = "Secret certificat cannot be used"
    rollout = plan(stateful_set(2), pods, UpdateStrategy(maxUnavailable=2), now=NOW, lacking=lacking)
    assert [step.name for step in rollout.steps] == ["cache-1"]
    assert rollout.stopped == lacking


def test_going_back_mends_the_broken_pod_at_once_and_leaves_the_others() -> None:
    broken = pod("cache-2", revision="bad", image="memcached:bad", ready=False, running=False)
    rollout = planned(stateful_set(3), [pod("cache-0"), pod("cache-1"), broken])
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-2", StepKind.REPLACE)]
    assert rollout.stopped == ""


def test_a_pod_that_is_about_to_be_swapped_counts_as_away() -> None:
    swapping = pod("cache-1", revision="old", image="memcached:1", annotations={SWAP_UNDER_WAY: "1"})
    other = pod("cache-0", revision="old", image="memcached:1")
    rollout = plan(stateful_set(2), [other, swapping], UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-1", StepKind.SWAP)]


def test_a_resizing_that_was_called_off_is_taken_back_unless_that_proved_impossible() -> None:
    """The label says that the pod is as it should be: it was, before the resizing began."""
    asked = pod("cache-0", memory=512)
    rollout = plan(stateful_set(1), [asked], UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-0", StepKind.RESIZE)]
    for can in (Abilities(), Abilities(True, True, impossible={("uid-of-cache-0", StepKind.RESIZE): "no"})):
        assert plan(stateful_set(1), [asked], UpdateStrategy(), now=NOW, abilities=can) == Rollout()


def test_a_pod_that_cannot_take_over_changed_users_is_made_anew_when_its_turn_comes() -> None:
    pods = [pod("cache-0"), pod("cache-1")]
    stale = {"cache-0": "too old", "cache-1": "too old"}
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, stale=stale)
    assert [(step.kind, step.name, step.why) for step in rollout.steps] == [(StepKind.REPLACE, "cache-1", "too old")]
    assert rollout.outdated == ["cache-1", "cache-0"]
    rollout = plan(stateful_set(2), pods, UpdateStrategy(), now=NOW, stale=stale, abilities=EVERYTHING)
    assert {step.kind for step in rollout.steps} == {StepKind.HANDOVER}


def test_why_memory_that_is_in_a_file_takes_a_new_pod_is_said_before_it_is_replaced() -> None:
    step = choose(pod("cache-0"), Difference(rest=True, memory_file=True), EVERYTHING)
    assert step.kind is StepKind.HANDOVER
    assert "a memory file has its size from the start" in step.why


def test_a_restart_in_place_goes_on_until_it_is_seen_to_be_done() -> None:
    swapped = pod("cache-0")
    swapped["metadata"]["annotations"] = {SWAP_UNDER_WAY: "{}"}
    assert choose(swapped, Difference(), EVERYTHING).kind is StepKind.SWAP
    assert choose(swapped, Difference(rest=True), EVERYTHING).kind is StepKind.SWAP, "its turn would never come"
    away = pod("cache-0", ready=False, annotations={SWAP_UNDER_WAY: "{}"})
    assert choose(away, Difference(image=True), EVERYTHING).kind is StepKind.SWAP
    assert choose(away, Difference(rest=True), EVERYTHING).kind is StepKind.HANDOVER
    refused = replace(EVERYTHING, impossible={("uid-of-cache-0", StepKind.SWAP): "too old"})
    assert choose(away, Difference(image=True), refused).kind is StepKind.HANDOVER


def test_a_pod_that_restarted_for_a_template_that_was_taken_back_is_of_no_revision_and_goes_back() -> None:
    restarted = pod("cache-0", image="memcached:3")
    del restarted["metadata"]["labels"]["controller-revision-hash"]
    rollout = plan(stateful_set(1), [restarted], UpdateStrategy(), now=NOW, abilities=EVERYTHING)
    assert [(step.name, step.kind) for step in rollout.steps] == [("cache-0", StepKind.SWAP)]
