"""At no time may the container's limit be below what memcached holds, nor a restart come back with more than fits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kopf_sdk.runtime import ApiError
from memcached_operator.changes import Change
from memcached_operator.fleet import Access, Fleet, Observation
from memcached_operator.resizing import PodResize, next_move, perform
from memcached_operator.rollout import Step, StepKind
from unit.operator.factory import memcached, pod, stateful_set

MIB = 2**20


def resized(have: int, asked: int, applied: int, **conditions: str) -> dict[str, Any]:
    """A pod whose memcached has `have` MiB for items, with resources for `asked` MiB, of which `applied` are there."""
    found = pod("cache-0", memory=asked)
    found["metadata"]["annotations"]["cache.example.com/item-memory"] = str(have)
    found["status"]["containerStatuses"][0]["resources"] = {"limits": {"memory": f"{applied * 2}Mi"}}
    found["status"]["conditions"] += [
        {"type": f"PodResize{name}", "status": "True", "reason": reason, "message": "words of the kubelet"}
        for name, reason in conditions.items()
    ]
    return found


def move(found: dict[str, Any], memory: int, limit: int | None, held: int | None = None, waited: float = 1) -> str:
    template = stateful_set(1, memory=memory)["spec"]["template"]
    next_one = next_move(
        found,
        template,
        limit=limit if limit is None else limit * MIB,
        held=held if held is None else held * MIB,
    )
    return "give up" if 0 < next_one.patience < waited else next_one.do


@pytest.mark.parametrize(
    ("have", "asked", "applied", "limit", "do"),
    [
        (64, 64, 64, 64, "resize"),
        (64, 256, 64, 64, "await kubelet"),
        (64, 256, 256, 64, "note"),
        (256, 256, 256, 64, "limit"),
        (256, 256, 256, 256, "adopt"),
    ],
)
def test_the_pod_grows_before_memcached_does(have: int, asked: int, applied: int, limit: int, do: str) -> None:
    assert move(resized(have, asked, applied), 256, limit) == do


@pytest.mark.parametrize(
    ("have", "asked", "applied", "limit", "held", "do"),
    [
        (64, 64, 64, 64, None, "note"),
        (16, 64, 64, 64, None, "limit"),
        (16, 64, 64, 16, None, "release"),
        (16, 64, 64, 16, 40, "release"),
        (16, 64, 64, 16, 16, "resize"),
        (16, 16, 64, 16, None, "await kubelet"),
        (16, 16, 16, 16, None, "adopt"),
    ],
)
def test_memcached_shrinks_before_the_pod_does(
    have: int, asked: int, applied: int, limit: int, held: int | None, do: str
) -> None:
    assert move(resized(have, asked, applied), 16, limit, held) == do


def test_waiting_has_an_end() -> None:
    assert move(resized(64, 256, 64, Pending="Deferred"), 256, 64) == "await kubelet"
    assert move(resized(64, 256, 64, Pending="Deferred"), 256, 64, waited=61) == "give up"
    assert move(resized(64, 256, 64, Pending="Infeasible"), 256, 64) == "give up"
    assert move(resized(64, 256, 64), 256, 64, waited=61) == "await kubelet", "a busy node"
    assert move(resized(64, 256, 64), 256, 64, waited=601) == "give up"
    assert move(resized(16, 64, 64), 16, 16, held=40, waited=61) == "give up"
    assert move(resized(256, 256, 256), 256, None) == "await memcached"
    assert move(resized(256, 256, 256), 256, None, waited=61) == "give up"


@pytest.mark.parametrize(
    ("stage", "elapsed", "given_up"), [("await kubelet", 300, False), ("await memcached", 61, True)]
)
async def test_a_node_that_took_its_time_does_not_cost_items_because_memcached_does_not_answer_once(
    stage: str, elapsed: float, given_up: bool
) -> None:
    step, request = Step(StepKind.RESIZE, resized(256, 256, 256)), Api()
    change = Change(request, step, stateful_set(1, memory=256), Fleet(), None, None, stage, elapsed)  # type: ignore[arg-type]
    assert bool((await perform(change)).impossible) == given_up


class Slow:
    """Plays the fleet: one memcached with so many MiB, none of which it gives back now."""

    def __init__(self, held: int) -> None:
        self.held = held

    @asynccontextmanager
    async def dial(self, *_: Any) -> AsyncIterator[Slow]:
        yield self

    async def stats(self) -> dict[str, str]:
        return {}

    async def slab_pages(self) -> tuple[int, dict[int, int]]:
        return self.held * MIB, {}


async def test_memory_may_be_released_for_as_long_as_it_gets_less() -> None:
    """A terabyte takes longer than a minute, and what replaces the pod instead loses all of its items."""
    fleet: Any = Slow(40)
    request: Any = Api()
    access, seen = Access(11211), Observation("1.6.45", 16 * MIB)
    stage = ""
    for held, elapsed, given_up in ((40, 0, False), (40, 50, False), (38, 500, False), (38, 61, True)):
        fleet.held = held
        step = Step(StepKind.RESIZE, resized(16, 64, 64))
        change = Change(request, step, stateful_set(1, memory=16), fleet, access, seen, stage, elapsed)
        outcome = await perform(change)
        stage = outcome.stage
        assert bool(outcome.impossible) == given_up


def test_a_hash_table_that_grew_too_large_for_the_smaller_pod_takes_a_new_one() -> None:
    template = stateful_set(1, memory=16)["spec"]["template"]
    for beside, do in ((16, "resize"), (17, "give up")):  # the pod has 32 MiB then
        found = next_move(resized(16, 64, 64), template, limit=16 * MIB, held=16 * MIB, beside=beside * MIB)
        assert found.do == do


def test_the_kubelets_words_are_handed_on() -> None:
    template = stateful_set(1, memory=256)["spec"]["template"]
    found = next_move(resized(64, 256, 64, Pending="Infeasible"), template, limit=64 * MIB, held=None)
    assert found.why == "its node has no room: words of the kubelet"


class Api:
    """An API server that lists these resources."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked = names, 0
        self.client, self.resource = self, memcached()

    async def request(self, method: str, path: str) -> dict[str, Any]:
        self.asked += 1
        if not self.names:
            raise ApiError("down", status=503)
        return {"resources": [{"name": name} for name in self.names]}


async def test_a_cluster_that_can_resize_is_asked_once_and_another_one_now_and_then() -> None:
    clock = [0.0]
    resize, old, new = PodResize(lambda: clock[0]), Api("pods", "pods/status"), Api("pods", "pods/resize")
    assert not await resize.found(old)  # type: ignore[arg-type]
    assert not await resize.found(new)  # type: ignore[arg-type]
    clock[0] = 601
    assert await resize.found(new)  # type: ignore[arg-type]
    clock[0] = 10_000
    assert await resize.found(new)  # type: ignore[arg-type]
    assert (old.asked, new.asked) == (1, 1)
