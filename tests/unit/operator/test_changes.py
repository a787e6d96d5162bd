"""What a step came to is remembered as long as the template is the same, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.runtime import ApiError
from memcached_operator.changes import Change, Changes, Outcome, Performed
from memcached_operator.fleet import Fleet
from memcached_operator.rollout import Rollout, Step, StepKind
from unit.operator.factory import pod, stateful_set

UID = "uid-of-cache-0"


class Request:
    key = "shop/cache"


class Steps:
    """Plays the performers, and says what they were called with."""

    def __init__(self, *outcomes: Outcome | Exception) -> None:
        self.clock = 0.0
        self.calls: list[Change] = []
        self._outcomes = list(outcomes)
        self.changes = Changes(dict.fromkeys(StepKind, self.perform), clock=lambda: self.clock)

    async def perform(self, change: Change) -> Outcome:
        self.calls.append(change)
        outcome = self._outcomes[len(self.calls) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def run(self, *names: str, revision: str = "new") -> Performed:
        steps = [Step(StepKind.RESIZE, pod(name)) for name in names]
        request: Any = Request()
        return await self.changes.perform(
            request,
            Rollout(list(names), steps),
            stateful_set(2, revision=revision),
            fleet=Fleet(inside=False),
            access=None,
            running={},
        )

    def impossible(self, revision: str = "new") -> dict[tuple[str, StepKind], str]:
        return self.changes.impossible("shop/cache", stateful_set(2, revision=revision))


async def test_what_is_impossible_is_so_for_this_pod_and_template() -> None:
    steps = Steps(Outcome(impossible="no room"), Outcome(), Outcome())
    assert (await steps.run("cache-0", "cache-1")).wait > 0
    assert steps.impossible() == {(UID, StepKind.RESIZE): "no room"}
    assert steps.impossible("newer") == {}
    await steps.run()
    assert steps.impossible() != {}, "it was forgotten while others had their turn"
    await steps.run("cache-0", revision="newer")
    assert steps.impossible() == {}


async def test_nothing_is_remembered_of_a_resource_that_is_gone() -> None:
    steps = Steps(Outcome(impossible="no room", wait=1), Outcome())
    await steps.run("cache-0")
    steps.clock = 30
    steps.changes.gone("shop/cache")
    assert steps.impossible() == {}
    await steps.run("cache-0")
    assert steps.calls[-1].waited("") == 0


async def test_a_step_knows_for_how_long_it_has_been_waiting_for_the_same_thing() -> None:
    """A node that took its time does not leave memcached less of it, which answers late there, too."""
    steps = Steps(*[Outcome(wait=1, stage=stage) for stage in ("kubelet", "kubelet", "memcached", "memcached", "")])
    for seconds in (0, 30, 80, 85):
        steps.clock = seconds
        await steps.run("cache-0")
    await steps.run("cache-0", revision="newer")
    assert [(change.waited("kubelet"), change.waited("memcached")) for change in steps.calls] == [
        (0, 0),
        (30, 0),
        (80, 0),
        (0, 5),
        (0, 0),
    ]


async def test_a_failure_does_not_keep_the_others_from_their_turn_and_is_told() -> None:
    steps = Steps(ApiError("down", status=503), Outcome(wait=3))
    with pytest.raises(ApiError, match="down"):
        await steps.run("cache-0", "cache-1")
    assert len(steps.calls) == 2


@pytest.mark.parametrize(("status", "reason"), [(403, "Forbidden"), (422, "Rejected")])
async def test_what_the_api_server_refuses_is_a_problem_and_not_an_error_that_hides_the_status(
    status: int, reason: str
) -> None:
    performed = await Steps(ApiError("a policy says no", status=status)).run("cache-0")
    (problem,) = performed.problems
    assert (problem.reason, problem.message) == (reason, "pod cache-0: a policy says no")
    assert performed.wait > 0


async def test_that_a_pod_is_another_one_by_now_is_nobodys_problem() -> None:
    with pytest.raises(ApiError):
        await Steps(ApiError("immutable", status=422, causes=(("metadata.uid", "immutable"),))).run("cache-0")


async def test_the_shortest_wait_counts() -> None:
    performed = await Steps(Outcome(wait=9, note="a"), Outcome(wait=3), Outcome(note="b")).run("a-0", "a-1", "a-2")
    assert (performed.wait, performed.notes) == (3, ["a", "b"])
