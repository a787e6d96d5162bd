"""Gives memcached more or less memory while it runs: the pod's resources through `pods/resize`, then `cache_memlimit`.

At no time may the container's limit be below what the process holds. So the pod grows before memcached does, and
memcached shrinks before the pod does. The annotation that memcached's next start reads lies in between: a crash at any
moment comes back with an `-m` that fits the container.

Sources: Kubernetes' "Resize CPU and Memory Resources assigned to Containers"; memcached's doc/protocol.txt
(`cache_memlimit`, `slabs reassign`) and slabs.c (pages beyond the limit are freed from the global pool only).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kopf_sdk.api import Quantity
from kopf_sdk.runtime import ApiError, Request
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.changes import Change, Outcome, adopt
from memcached_operator.diagnosis import Problem
from memcached_operator.rollout import NO_RESIZE
from memcached_operator.template import CONTAINER, ITEM_MEMORY, resources, same_amounts
from memcached_operator.wire import WireError

__all__ = ["Move", "PodResize", "make_room", "next_move", "perform"]

PATIENCE = 60.0
"""Seconds that the kubelet, or memcached, gets for its part."""
SLOW = 600.0
"""Seconds that a kubelet gets which has taken the change on: a new pod would cost the items, and be made by it, too."""
_LOOK_AGAIN = 1.0
_PAGES_AT_ONCE = 256
"""Slab pages to take from memcached in one go; each is 1 MiB and takes a few milliseconds."""
_PROGRAM = 8 * 2**20
"""Bytes of memcached with everything but items and hash table, on the safe side for an idle one."""
_ASK_API_AGAIN = 600.0
"""Seconds until an API server without `pods/resize` is asked again: it may have been upgraded."""


@dataclass(frozen=True)
class Move:
    """The next thing to do with one pod."""

    do: Literal["resize", "await kubelet", "await memcached", "note", "limit", "release", "adopt", "give up"]
    why: str = ""
    patience: float = 0
    """Seconds that this may be awaited, or go on without getting any further."""


def next_move(
    pod: Mapping[str, Any],
    template: Mapping[str, Any],
    *,
    limit: int | None,
    held: int | None,
    beside: int = 0,
) -> Move:
    """Decide from what is seen, never from what was done before.

    Parameters
    ----------
    pod, template
        The pod as it is, and the template that it shall be like.
    limit
        Bytes that memcached says it may use for items; None when it could not be asked.
    held
        Bytes of its slab pages; None when it was not asked yet.
    beside
        Bytes that it holds beside: of its hash table above all, which never shrinks.
    """
    wanted = resources(dict(template))
    lower = _memory(dict(pod)) > _memory(dict(template))
    if not lower and (move := _resize(pod, wanted)):
        return move
    items = (template["metadata"].get("annotations") or {}).get(ITEM_MEMORY)
    if items is not None:
        if (pod["metadata"].get("annotations") or {}).get(ITEM_MEMORY) != items:
            return Move("note")
        if limit is None:
            return Move("await memcached", "memcached does not answer", PATIENCE)
        if limit != int(items) * 2**20:
            return Move("limit")
        if lower and (held is None or held > limit):
            return Move("release", "memcached did not release memory", PATIENCE)
        if lower and held is not None and held + beside > int(_memory(dict(template))):
            return Move("give up", f"memcached keeps {beside // 2**20} MiB beside its items")
    if lower and (move := _resize(pod, wanted)):
        return move
    return Move("adopt")


async def perform(change: Change) -> Outcome:
    """Bring resources and memory of one pod as far as they go now."""
    try:
        return await _Resizing(change).run()
    except ApiError as error:
        return _refused(change.step.name, error)
    except WireError as error:
        return _awaited(change, Move("await memcached", str(error), PATIENCE))


class _Resizing:
    """One call of `perform`: move after move, each decided by what the one before left."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._pod = change.pod
        self._template = change.stateful_set["spec"]["template"]
        self._limit = change.observation.item_memory if change.observation else None
        self._held: int | None = None
        self._beside = 0

    async def run(self) -> Outcome:
        moves = {"resize": self._resize, "note": self._note, "limit": self._set_limit, "release": self._release}
        for _ in range(2 * len(moves)):
            move = next_move(
                self._pod,
                self._template,
                limit=self._limit,
                held=self._held,
                beside=self._beside,
            )
            if move.do == "adopt":
                return await adopt(self._change)
            if move.do == "give up":
                return Outcome(impossible=move.why)
            if move.do in ("await kubelet", "await memcached"):
                return _awaited(self._change, move)
            if (outcome := await moves[move.do]()) is not None:
                return outcome
        return Outcome(wait=_LOOK_AGAIN)

    async def _resize(self) -> Outcome | None:
        self._pod = await self._change.patch(_body(self._pod, self._template), subresource="resize")
        if same_amounts(resources(self._template), resources(self._pod)):
            return None
        return Outcome(impossible="something in this cluster changes the resources of pods")

    async def _note(self) -> Outcome | None:
        annotation = {ITEM_MEMORY: self._template["metadata"]["annotations"][ITEM_MEMORY]}
        self._pod = await self._change.patch({"metadata": {"annotations": annotation}})
        return None

    async def _set_limit(self) -> Outcome | None:
        """Tell memcached its new limit, and ask it which one it has."""
        change, mebibytes = self._change, int(self._template["metadata"]["annotations"][ITEM_MEMORY])
        assert change.access is not None
        async with change.fleet.dial(change.pod, change.access) as memcached:
            await memcached.limit_memory(mebibytes)
            statistics = await memcached.stats()
        change.fleet.forget(change.request.key, change.pod)
        change.request.event(
            "Normal",
            "Resized",
            f"Pod {change.step.name} has {mebibytes} MiB for items now, {(self._limit or 0) // 2**20} MiB before; "
            f"memcached was not restarted and holds {statistics['curr_items']} items",
        )
        self._limit = int(statistics["limit_maxbytes"])
        return None

    async def _release(self) -> Outcome | None:
        """Take slab pages from memcached until what it holds is within the limit, or for a while.

        The items of these pages are lost unless they fit elsewhere: less memory holds less. Pages go from the class
        that has most of them.
        """
        change, limit = self._change, self._limit
        assert change.access is not None
        assert limit is not None
        async with change.fleet.dial(change.pod, change.access) as memcached:
            self._beside = _PROGRAM + int((await memcached.stats()).get("hash_bytes", 0))
            for _ in range(_PAGES_AT_ONCE):
                self._held, pages = await memcached.slab_pages()
                if self._held <= limit or not pages:
                    break
                await memcached.free_page(max(pages, key=lambda name: pages[name]))
        if self._held is not None and self._held <= limit:
            return None
        stage = f"release down from {self._held}"  # it takes long where there is much: as long as it gets on
        if change.waited(stage) > PATIENCE:
            return Outcome(impossible="memcached did not release memory")
        note = f"pod {change.step.name}: waiting for memcached to release memory"
        return Outcome(wait=_LOOK_AGAIN, note=note, stage=stage)


async def make_room(change: Change) -> Outcome | None:
    """Give the pod the template's resources, unless that is less memory; None when it has them.

    Less memory is for `perform`, once memcached needs no more.
    """
    pod, template = change.pod, change.stateful_set["spec"]["template"]
    if _memory(pod) > _memory(template):
        return None
    move = _resize(pod, resources(template))
    if move is None:
        return None
    if move.do == "give up":
        return Outcome(impossible=move.why)
    if move.do == "resize":
        try:
            changed = await change.patch(_body(pod, template), subresource="resize")
        except ApiError as error:
            return _refused(change.step.name, error)
        if not same_amounts(resources(template), resources(changed)):
            return Outcome(impossible="something in this cluster changes the resources of pods")
        return Outcome(wait=_LOOK_AGAIN)
    return _awaited(change, move)


class PodResize:
    """Remembers whether the cluster has `pods/resize` (Kubernetes 1.33): for good once it has."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found = False
        self._asked = float("-inf")

    async def found(self, request: Request[Memcached]) -> bool:
        """Tell whether the API server lists it. Raises ApiError when that is not known."""
        if not self._found and self._clock() - self._asked >= _ASK_API_AGAIN:
            answer = await request.client.request("GET", "/api/v1")
            self._found = any(resource["name"] == "pods/resize" for resource in answer.get("resources", ()))
            self._asked = self._clock()
        return self._found


def _awaited(change: Change, move: Move) -> Outcome:
    """Wait for what the move names, until that took longer than it may."""
    if change.waited(move.do) > move.patience:
        return Outcome(impossible=move.why)
    return Outcome(wait=_LOOK_AGAIN, note=f"pod {change.step.name}: {move.why}", stage=move.do)


def _resize(pod: Mapping[str, Any], wanted: Mapping[str, Any]) -> Move | None:
    """Return what is left to do for the pod's resources; None when its containers have them."""
    if not same_amounts(wanted, resources(dict(pod))):
        return Move("resize")
    status = pod.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    pending = conditions.get("PodResizePending", {"status": "False"})
    running = conditions.get("PodResizeInProgress", {})
    if pending["status"] == "True":
        why = f"its node has no room: {pending.get('message') or pending.get('reason', '')}"
        return Move("give up", why) if pending.get("reason") == "Infeasible" else Move("await kubelet", why, PATIENCE)
    applied = {item["name"]: item.get("resources") or {} for item in status.get("containerStatuses") or ()}
    if same_amounts(wanted, applied):
        return None
    why = running.get("message") or "the kubelet has not resized it yet"
    return Move("await kubelet", why, PATIENCE if running.get("reason") == "Error" else SLOW)


def _body(pod: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the patch of the resize subresource: a merge patch names every container, the server takes resources only.

    Amounts that the pod has beside (a namespace's default limits) stay: taking one away is no resize.
    """
    wanted = resources(dict(template))
    containers = []
    for container in pod["spec"]["containers"]:
        have, want = container.get("resources") or {}, wanted.get(container["name"], {})
        merged = {kind: {**have.get(kind, {}), **want.get(kind, {})} for kind in ("requests", "limits")}
        containers.append({**container, "resources": {**have, **{kind: it for kind, it in merged.items() if it}}})
    return {"spec": {"containers": containers}}


def _refused(name: str, error: ApiError) -> Outcome:
    """Fall back where the change as such is refused; not where a new pod would be, too: by a quota."""
    if error.status == 403:
        return Outcome(wait=PATIENCE, problem=Problem("ResizeForbidden", f"pod {name}: {error.message}"))
    if error.status == 404:
        return Outcome(impossible=NO_RESIZE)
    if error.status == 422:
        return Outcome(impossible=error.message)
    raise error


def _memory(pod: dict[str, Any]) -> Quantity:
    """Return memcached's limit of memory; without one nothing holds less."""
    limits = resources(pod).get(CONTAINER, {}).get("limits") or {}
    return Quantity(limits.get("memory", "0"))
