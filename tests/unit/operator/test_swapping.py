"""When a restart in place is over, and what is said of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from memcached_operator.rollout import SWAP_UNDER_WAY
from memcached_operator.swapping import Mark, Process, has_restarted, outcome
from unit.operator.factory import NOW, pod

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
