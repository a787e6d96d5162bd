"""Starts memcached again in the same pod with another image or other arguments; its memory file keeps the items.

A pod's image can change while the pod lives (the kubelet then restarts that container), and its arguments are read from
the file that an annotation of the pod names (the readiness probe then restarts memcached). Until memcached answers
again, an annotation marks the pod and says what it was before, so that another process of the operator can go on.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from memcached_operator import naming, warm
from memcached_operator.changes import Change, Outcome
from memcached_operator.diagnosis import diagnose
from memcached_operator.kinds import CONFIG_MAP
from memcached_operator.rehearsal import rehearse
from memcached_operator.resizing import make_room
from memcached_operator.rollout import SWAP_UNDER_WAY, holds_items, is_ready
from memcached_operator.scripts import ARGUMENTS_FILE
from memcached_operator.template import ARGUMENTS, CONTAINER, IMAGE, REVISION
from memcached_operator.wire import WireError

__all__ = ["Mark", "Process", "has_restarted", "is_promising", "outcome", "perform", "refusal"]

_LOOK_AGAIN = 1.0
_MENDED = 15.0
"""Seconds until something that only people can mend is looked at again."""
_BLIND = dt.timedelta(seconds=30)
"""How long other arguments take to be noticed and memcached to restart at most, where it cannot be asked."""
_PATIENCE = dt.timedelta(seconds=60)
"""How long memcached may be away for a restart that is wanted no more, or not say what version it is."""
_ANSWER = "memcached does not answer"


@dataclass(frozen=True)
class Process:
    """What a memcached says of itself."""

    version: str
    pid: int
    uptime: int
    """Seconds. Goes on over a restart that kept the items."""
    items: int


@dataclass(frozen=True)
class Mark:
    """What a pod was, and what it shall be, while memcached restarts in it."""

    image: str
    arguments: str
    had: str
    """Its image before."""
    restarts: int
    """Restarts of the container before."""
    since: str
    before: Process | None
    """None when memcached could not be asked."""

    def text(self) -> str:
        """Return the mark as the value of the annotation."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> Mark | None:
        """Read the mark of a pod; None when it has none, or one that nobody can read."""
        try:
            known = json.loads(pod["metadata"]["annotations"][SWAP_UNDER_WAY])
            before = known.pop("before")
            return cls(**known, before=Process(**before) if before else None)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


async def perform(change: Change) -> Outcome:
    """Bring one pod to the template's image and arguments, or see how far it is."""
    template = change.stateful_set["spec"]["template"]
    image, arguments = _image(template), str(template["metadata"]["annotations"][ARGUMENTS])
    mark = Mark.of(change.pod)
    if mark is None:
        return await _begin(change, image, arguments, mark)
    if (mark.image, mark.arguments) == (image, arguments) or is_promising(mark, change.pod, _now()):
        return await _finish(change, mark)
    return await _begin(change, image, arguments, mark)


def is_promising(mark: Mark, pod: Mapping[str, Any], moment: dt.datetime) -> bool:
    """Tell whether a restart will come to an end, so that one for another template can wait for that.

    In the middle nothing is known: neither what is in the memory file, nor whether memcached has yet to stop for it.
    """
    if is_ready(dict(pod)):
        return True
    return not diagnose([dict(pod)]) and moment - dt.datetime.fromisoformat(mark.since) < _PATIENCE


def refusal(change: Change, arguments: str) -> str:
    """Return why memcached would not read its memory file with these arguments; empty when it would."""
    memcached = change.request.resource
    config = change.request.get(CONFIG_MAP, naming.arguments_config_map(memcached)) or {}
    files = config.get("data") or {}
    had = change.pod["metadata"]["annotations"].get(ARGUMENTS, "")
    before, after = (str(files.get(f"{ARGUMENTS_FILE}{name}", "")).splitlines() for name in (had, arguments))
    return warm.refusal(before, after)


def has_restarted(mark: Mark, pod: Mapping[str, Any], now: Process | None, *, moment: dt.datetime) -> bool:
    """Tell whether the pod serves again, with another process than before."""
    if not is_ready(dict(pod)):
        return False
    if _status(pod).get("restartCount", 0) > mark.restarts:
        return True
    if mark.image != mark.had:  # that is for the kubelet to do, which counts
        return False
    if mark.before is not None and now is not None:
        return now.pid != mark.before.pid
    return moment - dt.datetime.fromisoformat(mark.since) > _BLIND


def outcome(mark: Mark, name: str, now: Process | None) -> tuple[str, str, str]:
    """Return type, reason and message of the event that tells what came of a restart."""
    before = mark.before
    if before is None or now is None:
        return "Normal", "WarmRestarted", f"Restarted memcached in pod {name}; its items could not be counted"
    changed = f"{before.version} → {now.version}" if before.version != now.version else "restarted with other arguments"
    counted = f"{now.items} items, {before.items} before"
    if now.uptime < before.uptime:
        lost = f"Pod {name}: memcached {changed} and started with an empty cache: {counted}"
        return "Warning", "WarmRestartFailed", lost
    return "Normal", "WarmUpgraded", f"Pod {name}: memcached {changed} and kept its items: {counted}"


async def _begin(change: Change, image: str, arguments: str, earlier: Mark | None) -> Outcome:
    pod, template = change.pod, change.stateful_set["spec"]["template"]
    serves = holds_items(pod)
    if serves:
        shown = await rehearse(change.request, str(pod["spec"]["nodeName"]), template)
        if shown.problem or shown.version is None:
            note = f"pod {change.step.name}: trying {image} on its node first"
            return Outcome(wait=_MENDED if shown.problem else _LOOK_AGAIN, problem=shown.problem, note=note)
        known = change.observation.version if change.observation else None
        if refused := refusal(change, arguments) or warm.version_refusal(known, shown.version):
            if known is None and change.fleet.reachable and change.waited(_ANSWER) < _PATIENCE.total_seconds():
                return Outcome(wait=_LOOK_AGAIN, note=f"pod {change.step.name}: {_ANSWER}", stage=_ANSWER)
            return Outcome(impossible=refused)
        if (room := await make_room(change)) is not None:
            return room
    before = (await _ask(change) if serves else None) or (earlier.before if earlier else None)
    since = _now().isoformat(timespec="seconds")
    mark = Mark(image, arguments, _image(pod), _status(pod).get("restartCount", 0), since, before)
    # Of no revision it is outdated, whatever becomes of the template meanwhile, until it is seen to be right.
    annotations = {SWAP_UNDER_WAY: mark.text(), ARGUMENTS: arguments}
    patch: dict[str, Any] = {"metadata": {"annotations": annotations, "labels": {REVISION: None}}}
    if _image(pod) != image:
        # A merge patch replaces the whole list; the version makes sure that it is the one that was read.
        patch["metadata"]["resourceVersion"] = pod["metadata"]["resourceVersion"]
        containers = [found | ({"image": image} if found["name"] == CONTAINER else {}) for found in _containers(pod)]
        patch["spec"] = {"containers": containers}
    await change.patch(patch)
    return Outcome(wait=_LOOK_AGAIN, note=f"pod {change.step.name}: memcached restarts in place")


async def _finish(change: Change, mark: Mark) -> Outcome:
    name, waiting = change.step.name, f"pod {change.step.name}: memcached restarts in place"
    if not is_ready(change.pod):
        return Outcome(wait=_LOOK_AGAIN, note=waiting)
    now = await _ask(change)
    if not has_restarted(mark, change.pod, now, moment=_now()):
        return Outcome(wait=_LOOK_AGAIN, note=waiting)
    change.fleet.forget(change.request.key, change.pod)
    await change.patch({"metadata": {"annotations": {SWAP_UNDER_WAY: None, IMAGE: mark.image}}})
    change.request.event(*outcome(mark, name, now))
    return Outcome(wait=0.1)


async def _ask(change: Change) -> Process | None:
    """Return what the pod's memcached says of itself; None when it cannot be asked."""
    if change.access is None or not change.fleet.reachable:
        return None
    try:
        async with change.fleet.dial(change.pod, change.access) as memcached:
            said = await memcached.stats()
            return Process(said["version"], int(said["pid"]), int(said["uptime"]), int(said["curr_items"]))
    except (WireError, KeyError):
        return None


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _containers(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(pod["spec"]["containers"])


def _image(pod: Mapping[str, Any]) -> str:
    return next(str(found["image"]) for found in _containers(pod) if found["name"] == CONTAINER)


def _status(pod: Mapping[str, Any]) -> dict[str, Any]:
    found = pod.get("status", {}).get("containerStatuses", [])
    return next((dict(status) for status in found if status["name"] == CONTAINER), {})
