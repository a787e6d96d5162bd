"""What a pod would start with is tried before a memcached that serves is deleted for it."""

from __future__ import annotations

from typing import Any

import pytest

from memcached_operator.changes import Change, Outcome
from memcached_operator.fleet import Fleet
from memcached_operator.replacing import perform
from memcached_operator.rollout import Step, StepKind
from unit.operator.factory import NOW, memcached, pod, stateful_set


def ended(phase: str, **terminated: Any) -> dict[str, Any]:
    states = [{"name": "memcached", "state": {"terminated": terminated}}] if terminated else []
    return {"phase": phase, "containerStatuses": states}


class Request:
    """Plays the API server: one rehearsal, in this state."""

    namespace = "shop"

    def __init__(self, status: dict[str, Any], **spec: Any) -> None:
        self.resource = memcached(**spec)
        self.told: list[str] = []
        self.deleted: list[str] = []
        self._status = status

    def get(self, _: Any, name: str) -> dict[str, Any]:
        containers = [{"name": "memcached", "image": "memcached:2"}]
        metadata = {"name": name, "creationTimestamp": "2999-01-01T00:00:00Z"}
        return {"metadata": metadata, "spec": {"containers": containers}, "status": self._status}

    async def delete(self, target: dict[str, Any], **_: Any) -> None:
        self.deleted.append(target["metadata"]["name"])

    def event(self, type_: str, reason: str, message: str) -> None:
        self.told.append(message)


async def replaced(request: Any, old: dict[str, Any]) -> Outcome:
    wanted = stateful_set(1)
    wanted["spec"]["template"]["spec"]["volumes"] = []
    old["spec"]["nodeName"] = "node-1"
    return await perform(Change(request, Step(StepKind.REPLACE, old, "why not"), wanted, Fleet(), None, None))


@pytest.mark.parametrize(
    ("status", "goes", "reason"),
    [
        (ended("Running"), False, None),
        (ended("Succeeded", message="memcached 1.6.45"), True, None),
        (ended("Failed", reason="Error", message="unrecognized option"), False, "RehearsalFailed"),
        (ended("Failed") | {"reason": "OutOfmemory", "message": "no room"}, True, None),
    ],
)
async def test_a_pod_that_serves_goes_when_its_successor_is_known_to_start(
    status: dict[str, Any], goes: bool, reason: str | None
) -> None:
    request = Request(status)
    outcome = await replaced(request, pod("cache-0", image="memcached:1"))
    assert request.deleted == (["cache-0"] if goes else [])
    assert (outcome.problem.reason if outcome.problem else None) == reason
    assert bool(outcome.wait) != goes
    assert request.told == (["Replaced pod cache-0, which starts with an empty cache: why not"] if goes else [])


async def test_a_pod_that_holds_items_is_not_given_up_for_something_untried_because_it_is_silent() -> None:
    request = Request(ended("Failed", reason="Error", message="unrecognized option"))
    await replaced(request, pod("cache-0", image="memcached:1", silent_since=NOW))
    assert request.deleted == []


@pytest.mark.parametrize(
    ("old", "spec"),
    [
        (pod("cache-0", rest="other"), {}),
        (pod("cache-0", memory=32), {}),
        (pod("cache-0", image="memcached:1", ready=False), {}),
        (pod("cache-0", image="memcached:1"), {"probes": {"type": "tcp"}}),
    ],
)
async def test_nothing_is_tried_where_nothing_would_be_found_out(old: dict[str, Any], spec: dict[str, Any]) -> None:
    request = Request(ended("Running"), **spec)
    await replaced(request, old)
    assert request.deleted == ["cache-0"]
