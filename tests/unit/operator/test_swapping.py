"""When a restart in place is over, and what is said of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from memcached_operator.changes import Change, Outcome
from memcached_operator.fleet import Fleet
from memcached_operator.rollout import SWAP_UNDER_WAY, Step, StepKind
from memcached_operator.swapping import Mark, Process, has_restarted, is_promising, outcome, perform
from unit.operator.factory import NOW, memcached, pod, stateful_set

BEFORE = Process(version="1.6.38", pid=14, uptime=1000, items=5000)
NEW_IMAGE = Mark("memcached:2", "d1", "memcached:1", 3, NOW.isoformat(), BEFORE)
NEW_ARGUMENTS = replace(NEW_IMAGE, image="memcached:1", arguments="d2")


def running(restarts: int, *, ready: bool = True) -> dict[str, Any]:
    found = pod("cache-0", ready=ready)
    found["status"]["containerStatuses"] = [{"name": "memcached", "restartCount": restarts}]
    return found


def test_the_mark_of_a_pod_is_read_as_it_was_written() -> None:
    marked = pod("cache-0")
    marked["metadata"]["annotations"] = {SWAP_UNDER_WAY: NEW_IMAGE.text()}
    assert Mark.of(marked) == NEW_IMAGE
    marked["metadata"]["annotations"] = {SWAP_UNDER_WAY: replace(NEW_IMAGE, before=None).text()}
    assert Mark.of(marked) == replace(NEW_IMAGE, before=None)


@pytest.mark.parametrize("text", ["", "{}", "null", "[]", '{"image": 1}'])
def test_a_mark_that_nobody_can_read_is_none(text: str) -> None:
    marked = pod("cache-0")
    marked["metadata"]["annotations"] = {SWAP_UNDER_WAY: text}
    assert Mark.of(marked) is None


LATER = NOW + dt.timedelta(minutes=5)
OTHER_PROCESS = replace(BEFORE, pid=99)


@pytest.mark.parametrize(
    ("mark", "seen", "process", "moment", "over"),
    [
        (NEW_IMAGE, running(3), BEFORE, LATER, False),
        (NEW_IMAGE, running(4), OTHER_PROCESS, NOW, True),
        (NEW_IMAGE, running(4, ready=False), None, LATER, False),
        (NEW_ARGUMENTS, running(3), BEFORE, LATER, False),
        (NEW_ARGUMENTS, running(3), OTHER_PROCESS, NOW, True),
        (NEW_ARGUMENTS, running(3, ready=False), OTHER_PROCESS, NOW, False),
        (NEW_ARGUMENTS, running(4), None, NOW, True),
        (NEW_ARGUMENTS, running(3), None, NOW, False),
        (NEW_ARGUMENTS, running(3), None, LATER, True),
    ],
)
def test_a_restart_is_over_when_another_process_serves(
    mark: Mark, seen: dict[str, Any], process: Process | None, moment: dt.datetime, over: bool
) -> None:
    assert has_restarted(mark, seen, process, moment=moment) == over


SOON = NOW + dt.timedelta(seconds=10)


@pytest.mark.parametrize(
    ("seen", "moment", "promising"),
    [
        (running(3), LATER, True),
        (running(3, ready=False), SOON, True),
        (running(3, ready=False), LATER, False),
    ],
)
def test_a_restart_is_finished_before_another_one_begins_unless_it_leads_nowhere(
    seen: dict[str, Any], moment: dt.datetime, promising: bool
) -> None:
    """Begun at once, the next one could wait for ever: for a stop that its own change of the arguments called off."""
    assert is_promising(NEW_ARGUMENTS, seen, moment) == promising


def test_an_image_that_does_not_start_is_mended_at_once() -> None:
    broken = running(3, ready=False)
    broken["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ErrImagePull"}}
    assert not is_promising(NEW_IMAGE, broken, SOON)


class Request:
    """Plays the API server: every rehearsal ended well."""

    namespace = "shop"
    key = "shop/cache"

    def __init__(self, version: str = "1.6.45") -> None:
        self.version = version
        self.resource = memcached(warmRestart={"enabled": True})
        self.patches: list[dict[str, Any]] = []
        self.told: list[str] = []

    def get(self, kind: Any, name: str) -> dict[str, Any]:
        ended = {
            "phase": "Succeeded",
            "containerStatuses": [{"state": {"terminated": {"message": f"memcached {self.version}"}}}],
        }
        return {"metadata": {"name": name}, "spec": {"containers": [{"image": "memcached:2"}]}, "status": ended}

    async def patch(self, target: dict[str, Any], patch: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.patches.append(patch)
        return target

    def event(self, type_: str, reason: str, message: str) -> None:
        self.told.append(reason)


async def outcome_of(
    found: dict[str, Any], request: Any, image: str = "memcached:2", *, inside: bool = False, **how: Any
) -> Outcome:
    wanted = stateful_set(1, image=image)
    wanted["spec"]["template"]["spec"]["volumes"] = []
    found["spec"]["nodeName"], found["metadata"]["resourceVersion"] = "node-1", "7"
    return await perform(Change(request, Step(StepKind.SWAP, found), wanted, Fleet(inside=inside), None, None, **how))


async def performed(found: dict[str, Any], image: str = "memcached:2") -> Request:
    request = Request()
    await outcome_of(found, request, image)
    return request


async def test_a_pod_is_of_no_revision_while_it_restarts_because_the_template_may_be_taken_back_meanwhile() -> None:
    (patch,) = (await performed(pod("cache-0", image="memcached:1", revision="old"))).patches
    assert patch["metadata"]["labels"] == {"controller-revision-hash": None}
    assert [container["image"] for container in patch["spec"]["containers"]] == ["memcached:2"]


@pytest.mark.parametrize(
    ("inside", "stage", "elapsed", "given_up"),
    [
        (True, "", 300, False),
        (True, "memcached does not answer", 59, False),
        (True, "memcached does not answer", 61, True),
        (False, "", 0, True),
    ],
)
async def test_items_are_not_given_up_because_a_busy_memcached_did_not_say_its_version(
    inside: bool, stage: str, elapsed: float, given_up: bool
) -> None:
    """From 1.6.18 to 1.6.21 they stay, from 1.6.45 they would not."""
    old = pod("cache-0", image="memcached:1", revision="old")
    outcome = await outcome_of(old, Request("1.6.21"), inside=inside, stage=stage, elapsed=elapsed)
    assert bool(outcome.impossible) == given_up


async def test_a_restart_that_is_wanted_no_more_is_seen_to_its_end_before_the_next_one() -> None:
    mark = replace(NEW_IMAGE, image="memcached:3")
    found = pod("cache-0", image="memcached:3", restarts=3, annotations={SWAP_UNDER_WAY: mark.text()})
    assert (await performed(found)).patches == [], "memcached has yet to restart"
    found["status"]["containerStatuses"][0]["restartCount"] = 4
    (patch,) = (await performed(found)).patches
    assert patch["metadata"]["annotations"] == {SWAP_UNDER_WAY: None, "cache.example.com/image": "memcached:3"}


def test_the_event_says_what_was_kept() -> None:
    after = Process("1.6.45", 20, 1010, 4999)
    kind, reason, message = outcome(NEW_IMAGE, "cache-0", after)
    assert (kind, reason) == ("Normal", "WarmUpgraded")
    assert message == "Pod cache-0: memcached 1.6.38 → 1.6.45 and kept its items: 4999 items, 5000 before"


def test_a_cold_start_is_not_called_warm() -> None:
    kind, reason, message = outcome(NEW_IMAGE, "cache-0", Process("1.6.45", 20, 3, 0))
    assert (kind, reason) == ("Warning", "WarmRestartFailed")
    assert "0 items, 5000 before" in message


def test_what_was_not_counted_is_not_claimed() -> None:
    assert outcome(NEW_IMAGE, "cache-0", None)[1] == "WarmRestarted"
    assert "not" in outcome(replace(NEW_IMAGE, before=None), "cache-0", BEFORE)[2]
