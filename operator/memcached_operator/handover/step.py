"""Hands pods over: makes spares, deletes old pods when their items are safe, ends what is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kopf_sdk.runtime import ApiError, Request
from memcached_operator import rehearsal
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.changes import Change, Outcome
from memcached_operator.handover import spare
from memcached_operator.handover.spare import Stage
from memcached_operator.kinds import POD
from memcached_operator.operand import Operand
from memcached_operator.rollout import Rollout, StepKind

__all__ = ["greetings", "performer", "returning", "tend"]

_SPARE, _QUOTA = "spare", "quota"
_PATIENCE = 300.0
"""Seconds for the spare's containers to run: for a node to be added, for images to be pulled. The old pod serves."""


def performer(operand: Operand) -> Callable[[Change], Awaitable[Outcome]]:
    """Return what performs a `HANDOVER` step: one stage a call, found out from the pods."""

    async def perform(change: Change) -> Outcome:
        request, pod = change.request, change.pod
        found = request.get(POD, spare.name(pod))
        if found is None:
            return await _make(change, operand)
        if "deletionTimestamp" in found["metadata"]:
            return Outcome(wait=1)
        if spare.served(found)[1] != pod["metadata"]["uid"]:  # of an earlier handover: `tend` ends it when it is over
            return Outcome(wait=1)
        progress = spare.progress(found, pod)
        if progress.stage is Stage.COPYING and change.waited(_SPARE) > _PATIENCE and not _runs(found):
            why = progress.message or "its containers do not run"
            progress = spare.Progress(Stage.FAILED, f"the spare pod does not start within {_PATIENCE:g} s: {why}")
        match progress.stage:
            case Stage.COPYING:
                return _copying(change, progress.message)
            case Stage.COPIED:
                await request.delete(pod)
                request.event(
                    "Normal", "HandingOver", f"The items of pod {change.step.name} are in a spare pod: replaced it"
                )
                return Outcome(wait=1)
        await request.delete(found, grace_seconds=0)
        if progress.stage is Stage.DONE:  # copied back to a memcached that had only restarted
            return Outcome(wait=1)
        return _failed(change, progress.message)

    return perform


def returning(spares: Sequence[Mapping[str, Any]], pods: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the pods whose items are still in a spare, with the seconds until they are looked at again."""
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    found: dict[str, float] = {}
    for one in spares:
        name = spare.served(one)[0]
        pod = by_name.get(name)
        gone = spare.progress(one, pod).stage is Stage.RETURNING or (pod and "deletionTimestamp" in pod["metadata"])
        if gone and "deletionTimestamp" not in one["metadata"]:
            found[name] = 1.0
    return found


def greetings(spares: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what pods that are made from now on have to say to their spares, by pod."""
    living = [found for found in spares if "deletionTimestamp" not in found["metadata"]]
    return {spare.served(found)[0]: words for found in living if (words := spare.greeting(found))}


async def tend(
    request: Request[Memcached],
    spares: Sequence[dict[str, Any]],
    pods: Sequence[dict[str, Any]],
    planned: Rollout,
) -> float:
    """Do what follows after an old pod is gone: name the new one to the spare, tell what was kept, delete the spare.

    Returns the seconds until it must be called again, 0 when an event of the watch will tell.
    """
    wait = 0.0
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    # A swap may turn into a handover: another process of the operator has yet to find out that it is impossible.
    wanted = {step.name for step in planned.planned if step.kind in (StepKind.HANDOVER, StepKind.SWAP)}
    for found in spares:
        if "deletionTimestamp" in found["metadata"]:
            continue
        name, uid = spare.served(found)
        pod = by_name.get(name)
        if pod is not None and pod["metadata"]["uid"] == uid:
            kept = name in wanted or planned.undecided or "deletionTimestamp" in pod["metadata"]
            if not kept:  # somebody changed their mind
                await request.delete(found, grace_seconds=0)
            continue
        progress = spare.progress(found, pod)
        if progress.stage is Stage.RETURNING:
            if _ordinal(name) >= request.resource.spec.size:
                await request.delete(found, grace_seconds=0)
                continue
            await _name(request, found, pod)
            wait = 1
            continue
        if progress.stage is Stage.DONE:
            request.event("Normal", "HandedOver", f"Pod {name}: {_words(progress.kept or {})}")
        else:
            request.event("Warning", "HandoverFailed", f"Pod {name}: {progress.message}")
        await request.delete(found, grace_seconds=0)
    return wait


async def _make(change: Change, operand: Operand) -> Outcome:
    if (waiting := await rehearsal.before_replacing(change)) is not None:
        return waiting
    request, pod = change.request, change.pod
    template = change.stateful_set["spec"]["template"]
    wanted = spare.spare_pod(request.resource, operand, pod, template)
    try:
        await request.client.request("POST", POD.path(request.namespace), body=wanted)
    except ApiError as error:
        # A quota counts the spare pod before this one for some seconds after that is gone.
        if error.status == 403 and change.waited(_QUOTA) <= _PATIENCE:
            return Outcome(wait=5, note=f"no spare pod for {change.step.name} yet: {error.message}", stage=_QUOTA)
        if error.status in (403, 422):
            return _failed(change, error.message)
        if error.status != 409:  # it exists, and the watch is late
            raise
    return _copying(change)


def _failed(change: Change, why: str) -> Outcome:
    change.request.event("Warning", "HandoverFailed", f"Pod {change.step.name}: {why}")
    return Outcome(impossible=f"handover: {why}")


def _copying(change: Change, hindrance: str = "") -> Outcome:
    note = f"the items of {change.step.name} are copied to a spare pod"
    return Outcome(wait=5, note=f"{note} as soon as it starts: {hindrance}" if hindrance else note, stage=_SPARE)


async def _name(request: Request[Memcached], found: dict[str, Any], pod: dict[str, Any] | None) -> None:
    """Tell the spare the new pod's address: the kubelet brings a changed annotation at once, DNS takes seconds."""
    address = (pod or {}).get("status", {}).get("podIP")
    known = (found["metadata"].get("annotations") or {}).get(spare.NEW_ADDRESS)
    if address and known != address and "deletionTimestamp" not in (pod or {"metadata": {}})["metadata"]:
        await request.patch(found, {"metadata": {"annotations": {spare.NEW_ADDRESS: address}}})


def _runs(found: Mapping[str, Any]) -> bool:
    states = found.get("status", {}).get("containerStatuses", [])
    return bool(states) and all("running" in state.get("state", {}) for state in states)


def _words(kept: Mapping[str, int]) -> str:
    names = {"newer": "newer ones were there already", "withheld": "withheld, as they may have been deleted"}
    names |= {"expired": "expired", "refused": "did not fit"}
    rest = [f"{kept[name]} {words}" for name, words in names.items() if kept.get(name)]
    return ", ".join([f"{kept.get('copied', 0)} items handed over", *rest])


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])
