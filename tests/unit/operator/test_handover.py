"""What a spare pod is made of, and what is read from it."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.runtime import ApiError
from memcached_operator import naming
from memcached_operator.changes import Change, Outcome
from memcached_operator.children.stateful_set import stateful_set
from memcached_operator.fleet import Fleet
from memcached_operator.handover.spare import COPIER, Stage, labels, progress, served, spare_pod
from memcached_operator.handover.step import performer, returning
from memcached_operator.operand import Operand
from memcached_operator.rollout import Step, StepKind
from memcached_operator.surroundings import Surroundings
from unit.operator.factory import memcached, pod
from unit.operator.factory import stateful_set as template


def spare(**spec: Any) -> dict[str, Any]:
    """The spare of a pod with half the memory that its resource asks for now."""
    resource = memcached(warmRestart={"handover": True}, memory="128Mi", **spec)
    template = stateful_set(resource, Operand(), Surroundings())["spec"]["template"]
    old = pod("cache-0", image="memcached:old", memory=64)
    old["status"]["podIP"] = "10.0.0.7"
    old["spec"]["containers"][0]["ports"] = [{"name": "memcache", "containerPort": 11211}]
    return spare_pod(resource, Operand(), old, template)


def test_it_holds_what_either_pod_holds_with_the_old_ones_memcached() -> None:
    made = spare()
    keeper, copier = made["spec"]["containers"]
    assert keeper["image"] == "memcached:old"
    assert "--memory-limit=128" in keeper["command"]
    assert "--listen=127.0.0.1" in keeper["command"]
    assert copier["image"] == Operand().operator_image
    assert "--source=10.0.0.7:11211" in copier["args"]
    assert made["spec"]["restartPolicy"] == "Never"
    assert served(made) == ("cache-0", "uid-of-cache-0")


def test_the_copier_has_room_for_the_largest_item_several_times() -> None:
    """Killed for want of memory, it would take the handover along."""
    limit = spare(maxItemSize="50Mi")["spec"]["containers"][1]["resources"]["limits"]["memory"]
    assert int(limit.removesuffix("Mi")) >= 256 + 5 * 50


def test_no_service_budget_or_policy_takes_it_for_a_pod_of_the_cache() -> None:
    resource = memcached()
    assert not naming.selector(resource).items() <= labels(resource).items()


def test_it_speaks_to_each_side_as_that_side_does() -> None:
    arguments = spare(auth={"secretName": "users"}, tls={"secretName": "certificate"})["spec"]["containers"][1]["args"]
    assert {"--target-tls", "--target-login"} <= set(arguments)
    assert not {"--source-tls", "--source-login"} & set(arguments), "the old pod had neither"


def seen(copier: dict[str, Any], keeper: dict[str, Any] | None = None, *, ready: bool = False) -> dict[str, Any]:
    states = [
        {"name": "memcached", "state": keeper or {"running": {}}},
        {"name": COPIER, "state": copier, "ready": ready},
    ]
    return spare() | {"status": {"containerStatuses": states}}


OLD, NEW = pod("cache-0"), pod("cache-0") | {"metadata": {"name": "cache-0", "uid": "another"}}
WORKING: dict[str, Any] = {"running": {}}


@pytest.mark.parametrize(
    ("found", "now", "stage"),
    [
        (spare(), OLD, Stage.COPYING),
        (seen(WORKING), OLD, Stage.COPYING),
        (seen(WORKING, ready=True), OLD, Stage.COPIED),
        (seen(WORKING), None, Stage.RETURNING),
        (seen(WORKING, ready=True), NEW, Stage.RETURNING),
        (seen({"terminated": {"exitCode": 0, "message": '{"copied": 5}'}}), NEW, Stage.DONE),
        (seen({"terminated": {"exitCode": 1, "message": "too old"}}), OLD, Stage.FAILED),
        (seen(WORKING, {"terminated": {"exitCode": 137}}), NEW, Stage.FAILED),
        (seen({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}), OLD, Stage.COPYING),
    ],
)
def test_how_far_it_is_shows_in_the_pods_alone(found: dict[str, Any], now: dict[str, Any] | None, stage: Stage) -> None:
    assert progress(found, now).stage is stage


def test_a_pod_whose_items_are_on_their_way_does_not_count_as_one_that_serves() -> None:
    assert set(returning([seen(WORKING)], [NEW])) == {"cache-0"}
    assert set(returning([seen(WORKING, ready=True)], [OLD])) == set()
    assert set(returning([seen(WORKING, ready=True)], [pod("cache-0", leaving=True)])) == {"cache-0"}


class Request:
    """Plays the API server: it has this spare."""

    namespace = "shop"

    def __init__(self, found: dict[str, Any] | None) -> None:
        self.client = self
        self.resource = memcached(warmRestart={"handover": True})
        self.deleted: list[str] = []
        self.told: list[str] = []
        self._found = found

    def get(self, kind: Any, name: str) -> dict[str, Any] | None:
        return self._found

    async def request(self, method: str, path: str, body: Any) -> None:
        raise ApiError("exceeded quota: pods", status=403)

    async def delete(self, target: dict[str, Any], **_: Any) -> None:
        self.deleted.append(target["metadata"]["name"])

    def event(self, type_: str, reason: str, message: str) -> None:
        self.told.append(reason)


async def performed(found: dict[str, Any] | None, now: dict[str, Any], **how: Any) -> tuple[Outcome, Request]:
    request: Any = Request(found)
    step = Step(StepKind.HANDOVER, now)
    change = Change(request, step, template(1), Fleet(inside=False), None, None, **how)
    outcome = await performer(Operand())(change)
    made: Request = request
    return outcome, made


async def test_a_spare_is_left_alone_as_long_as_it_has_items_of_the_pod_before() -> None:
    outcome, request = await performed(seen(WORKING), NEW)
    assert (request.deleted, outcome.impossible) == ([], "")


async def test_what_keeps_a_spare_from_starting_is_said_and_may_pass() -> None:
    late = seen({"waiting": {"reason": "ErrImagePull", "message": "429 Too Many Requests"}})
    outcome, request = await performed(late, OLD, stage="spare", elapsed=100)
    assert (request.deleted, outcome.impossible) == ([], "")
    assert "429 Too Many Requests" in outcome.note
    outcome, request = await performed(late, OLD, stage="spare", elapsed=301)
    assert request.deleted == ["cache-0-spare"]
    assert "429 Too Many Requests" in outcome.impossible


CREATING = seen({"waiting": {"reason": "ContainerCreating"}})


@pytest.mark.parametrize(("stage", "elapsed", "over"), [("", 900, False), ("spare", 100, False), ("spare", 900, True)])
async def test_a_spare_has_its_own_time_to_start_whatever_the_rehearsal_before_it_took(
    stage: str, elapsed: float, over: bool
) -> None:
    outcome, request = await performed(CREATING, OLD, stage=stage, elapsed=elapsed)
    assert (bool(request.deleted), bool(outcome.impossible)) == (over, over)


@pytest.mark.parametrize(("stage", "elapsed", "over"), [("", 900, False), ("quota", 100, False), ("quota", 301, True)])
async def test_a_quota_that_still_counts_the_spare_before_is_waited_for(stage: str, elapsed: float, over: bool) -> None:
    old = pod("cache-0")
    old["status"]["podIP"] = "10.0.0.7"
    outcome, request = await performed(None, old, stage=stage, elapsed=elapsed)
    assert (bool(outcome.impossible), request.told) == (over, ["HandoverFailed"] if over else [])
    assert over or "exceeded quota" in outcome.note
