"""Which pods change next, and how: in place where that is possible, a few at a time where items are at stake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from memcached_operator.api.v1alpha1.pods import UpdateStrategy
from memcached_operator.diagnosis import diagnose
from memcached_operator.fleet import Observation
from memcached_operator.template import CONTAINER, ITEM_MEMORY, REVISION, Difference, difference, has_memory_file

__all__ = [
    "INTERRUPTING",
    "NO_RESIZE",
    "SWAP_UNDER_WAY",
    "Abilities",
    "Rollout",
    "Step",
    "StepKind",
    "choose",
    "holds_items",
    "is_ready",
    "plan",
    "ready_since",
]

SWAP_UNDER_WAY = "cache.example.com/swap"
"""Annotation of a pod whose memcached is about to be stopped and started again."""

NO_RESIZE = "this cluster cannot resize pods"
"""Why memory takes a rollout on Kubernetes before 1.33."""

_PATIENCE = dt.timedelta(seconds=60)
"""How long memcached may run without serving: before a new pod's rollout counts as failed, and before an old pod that
did serve has its turn to be replaced."""


class StepKind(StrEnum):
    """What can be done to bring a pod to the template, the gentlest first."""

    ADOPT = "adopt"
    """Nothing but labels and annotations differs: give it those."""
    RESIZE = "resize"
    """Change its resources and memcached's `-m` while both live."""
    SWAP = "swap"
    """Start memcached again in the same pod, with another image or other arguments; a memory file keeps the items."""
    HANDOVER = "handover"
    """Copy its items to a spare pod, replace it, copy them back."""
    REPLACE = "replace"
    """Delete it: its items are lost."""


INTERRUPTING = frozenset({StepKind.SWAP, StepKind.HANDOVER, StepKind.REPLACE})


@dataclass(frozen=True)
class Step:
    """What to do with one pod now."""

    kind: StepKind
    pod: dict[str, Any]
    why: str = ""
    """Why nothing gentler is done, where somebody may have hoped for it."""

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])


@dataclass(frozen=True)
class Abilities:
    """What the cluster, the resource and earlier tries let us do.

    Attributes
    ----------
    resize
        Whether the API server has pods/resize.
    reachable
        Whether memcached can be told a new limit.
    warm
        Whether memcached keeps its items over a restart in the pod.
    handover
        Whether items may be copied to a spare pod.
    impossible
        Why a kind of step turned out not to work, by the pod's UID.
    """

    resize: bool = False
    reachable: bool = False
    warm: bool = False
    handover: bool = False
    impossible: Mapping[tuple[str, StepKind], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """How far the pods are from the StatefulSet's template.

    Attributes
    ----------
    outdated
        Names of pods that are not yet as the template.
    steps
        What to do now.
    planned
        What is ahead of every outdated pod, also of those that have to wait for their turn.
    wait
        Seconds until time alone changes the plan; 0 when it does not: a pod has then served long enough, or been
        silent for too long.
    filling
        Names of the pods that have to serve for longer.
    stopped
        Why no further pod that serves is touched, when new ones do not come up.
    undecided
        Whether the StatefulSet controller has yet to say what the newest template's revision is.
    """

    outdated: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    planned: list[Step] = field(default_factory=list)
    wait: float = 0
    filling: list[str] = field(default_factory=list)
    stopped: str = ""
    undecided: bool = False


def is_ready(pod: dict[str, Any]) -> bool:
    """Tell whether the pod serves: condition Ready, and not on its way out."""
    return ready_since(pod) is not None


def holds_items(pod: dict[str, Any]) -> bool:
    """Tell whether there are items to lose: the pod serves, or did so and has not lost them since.

    What does not answer in time (a busy node, a node out of touch) is not gone. A memory file outlives its process.
    """
    ready, started = _ready(pod), _running_since(pod)
    if _leaving(pod) or ready is None:
        return False
    if is_ready(pod) or _out_of_touch(pod):
        return True
    if has_memory_file(pod) and (_swapping(pod) or _container(pod).get("restartCount", 0)):
        return not diagnose([pod])
    return started is not None and dt.datetime.fromisoformat(ready["lastTransitionTime"]) > started


def choose(pod: dict[str, Any], missing: Difference, abilities: Abilities, *, anew: str = "") -> Step:
    """Return the gentlest step that brings a pod nearer to the template; `anew` says why it takes another pod."""

    def refused(kind: StepKind) -> str:
        return abilities.impossible.get((pod["metadata"]["uid"], kind), "")

    why = anew
    if _swapping(pod) and (missing.in_place or is_ready(pod)) and not refused(StepKind.SWAP):
        return Step(StepKind.SWAP, pod)  # until it is seen to be done, whatever comes after it
    if missing.metadata_only and not anew:
        return Step(StepKind.ADOPT, pod)
    if not anew and not (missing.rest or missing.image or missing.arguments):
        why = _no_resize(missing, abilities) or refused(StepKind.RESIZE)
        if not why:
            return Step(StepKind.RESIZE, pod)
    elif not anew and missing.in_place and abilities.warm:
        why = refused(StepKind.SWAP)
        if not why:
            return Step(StepKind.SWAP, pod)
    if missing.memory_file and not why:
        why = "a memory file has its size from the start, so other memory takes a new pod"
    if abilities.handover and not refused(StepKind.HANDOVER):
        return Step(StepKind.HANDOVER, pod, why)
    return Step(StepKind.REPLACE, pod, "; ".join(filter(None, (why, refused(StepKind.HANDOVER)))))


def plan(
    stateful_set: dict[str, Any] | None,
    pods: Sequence[dict[str, Any]],
    strategy: UpdateStrategy,
    *,
    now: dt.datetime,
    abilities: Abilities = Abilities(),
    running: Mapping[str, Observation] | None = None,
    warming: Mapping[str, float] | None = None,
    returning: Collection[str] = (),
    stale: Mapping[str, str] | None = None,
    lacking: str = "",
) -> Rollout:
    """Choose what to do with which pods.

    A pod that holds no items has nothing to lose and goes at once: a broken image must not block its own repair. One
    that holds some and fell silent is left alone for a while: on a busy node a probe answers late. Then such pods go
    first, but no more together than the strategy allows. Of those that serve, the highest ordinals go, as many as the
    strategy allows to be away, and none while a new one fails. What interrupts nobody is done to all pods at once.
    Nothing is decided on a StatefulSet whose controller has not seen the newest template: its `updateRevision` would
    be the old one.

    Parameters
    ----------
    stateful_set, pods, strategy, now
        What is wanted, what there is, how fast, and the time.
    abilities
        What can be done in place.
    running
        What the memcached processes say of themselves, by pod.
    warming
        New pods whose caches are not filled yet, with the seconds until they are looked at again.
    returning
        New pods that get items of their predecessors back: another one has to wait for that.
    stale
        Pods that are as the template and must be made anew all the same, with the reason.
    lacking
        What new pods would wait for in vain: none that holds items goes then.
    """
    if stateful_set is None:
        return Rollout()
    status = stateful_set.get("status", {})
    revision = status.get("updateRevision")
    if not revision or status.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return Rollout(undecided=True)
    replicas = stateful_set["spec"].get("replicas", 1)
    pods = [pod for pod in pods if _ordinal(pod) < replicas]  # the others go anyway, and are nobody's to rely on
    ordered = sorted(pods, key=_ordinal, reverse=True)
    old = [pod for pod in ordered if pod["metadata"]["labels"].get(REVISION) != revision]
    anew = {pod["metadata"]["uid"]: why for pod in ordered if (why := (stale or {}).get(pod["metadata"]["name"]))}
    outdated = [pod for pod in ordered if pod in old or pod["metadata"]["uid"] in anew]
    astray = [
        Step(StepKind.RESIZE, pod)
        for pod in ordered
        if pod not in outdated and is_ready(pod) and _astray(pod, stateful_set, abilities, running or {})
    ]
    if not outdated and not astray:
        return Rollout()

    planned = [
        choose(pod, difference(pod, stateful_set), abilities, anew="" if pod in old else anew[pod["metadata"]["uid"]])
        for pod in outdated
        if not _leaving(pod)
    ]
    remaining = {pod["metadata"]["name"]: _seconds_left(pod, strategy, now, warming or {}) for pod in pods}
    serving = sum(left == 0 for left in remaining.values())
    budget = strategy.max_unavailable - (replicas - serving)
    updated = [pod for pod in pods if pod not in outdated or _swapping(pod)]
    stopped = lacking or _failure(updated, now)
    calm = [
        step
        for step in planned
        if step.kind is StepKind.ADOPT
        or (step.kind is StepKind.RESIZE and (abilities.warm or _running_since(step.pod) is not None))
    ]
    disturbing = [
        step
        for step in planned
        if step not in calm and not (step.name in returning and (is_ready(step.pod) or _patience_left(step.pod, now)))
    ]
    under_way = [step for step in disturbing if step.kind is StepKind.SWAP and _swapping(step.pod)]
    waiting = [step for step in disturbing if is_ready(step.pod) and step not in under_way]
    # Whether a pod with a higher ordinal has to go as well, resizing it will tell.
    tried = max((_ordinal(step.pod) for step in calm if step.kind is StepKind.RESIZE), default=-1)
    in_turn = [step for step in waiting if _ordinal(step.pod) > tried]
    away = [step for step in disturbing if not is_ready(step.pod) and step not in under_way]
    idle = [
        step if step.kind is StepKind.SWAP else Step(StepKind.REPLACE, step.pod)
        for step in away
        if not holds_items(step.pod)
    ]
    holding = [step for step in away if holds_items(step.pod)]
    silent = {step.name: left for step in holding if (left := _mercy(step.pod, now))}
    mute = [step for step in holding if step.name not in silent and not _out_of_touch(step.pod)]
    filling = {name: left for name, left in remaining.items() if left and waiting and budget <= 0}
    allowed = 0 if stopped else max(budget, 0)
    allowed_mute = 0 if stopped else max(budget + len(holding), 0)  # a new pod counts until it serves
    starting = [
        left
        for pod in pods
        if (pod in updated and waiting and not stopped) or pod["metadata"]["name"] in returning
        if (left := _patience_left(pod, now))
    ]
    return Rollout(
        outdated=[pod["metadata"]["name"] for pod in outdated],
        steps=[*calm, *astray, *idle, *under_way, *mute[:allowed_mute], *in_turn[:allowed]],
        planned=planned,
        wait=min([*filling.values(), *silent.values(), *starting], default=0),
        filling=sorted(filling),
        stopped=stopped if waiting or mute else "",
    )


def _no_resize(missing: Difference, abilities: Abilities) -> str:
    """Return why no pod of the resource can be resized; empty when they can."""
    if missing.resources and not abilities.resize:
        return NO_RESIZE
    if missing.item_memory and not abilities.reachable:
        return "the operator cannot reach memcached"
    return ""


def _astray(
    pod: dict[str, Any], stateful_set: dict[str, Any], abilities: Abilities, running: Mapping[str, Observation]
) -> bool:
    """Tell whether a pod of the newest template has other memory than it says, and can be put right.

    Its resizing was called off half-way, or memcached started before the kubelet brought the file with the new `-m`.
    """
    missing = difference(pod, stateful_set)
    if (pod["metadata"]["uid"], StepKind.RESIZE) in abilities.impossible or _no_resize(missing, abilities):
        return False
    wanted = (pod["metadata"].get("annotations") or {}).get(ITEM_MEMORY)
    observation = running.get(pod["metadata"]["name"])
    other = wanted is not None and observation is not None and observation.item_memory != int(wanted) * 2**20
    return missing.resources or missing.item_memory or other


def _failure(updated: Sequence[dict[str, Any]], now: dt.datetime) -> str:
    """Return why a pod that has the newest template does not come up; empty when all do, or may still."""
    for pod in sorted(updated, key=_ordinal):
        if is_ready(pod) or _leaving(pod):
            continue
        if diagnose([pod]):
            return f"pod {pod['metadata']['name']} does not start"
        if _running_since(pod) is not None and not _patience_left(pod, now):
            return f"pod {pod['metadata']['name']} runs for more than a minute and does not get ready"
    return ""


def _patience_left(pod: dict[str, Any], now: dt.datetime) -> float:
    """Return how many seconds a pod that runs and does not serve still gets; 0 for any other."""
    started, ready = _running_since(pod), _ready(pod)
    if started is None or is_ready(pod) or _leaving(pod):
        return 0
    silent = max(started, dt.datetime.fromisoformat(ready["lastTransitionTime"])) if ready else started
    return max((silent + _PATIENCE - now).total_seconds(), 0)


def _mercy(pod: dict[str, Any], now: dt.datetime) -> float:
    """Return for how many seconds a pod that holds items, and does not serve now, is left alone."""
    started, ready = _running_since(pod), _ready(pod)
    if ready is None:
        return 0
    silent = dt.datetime.fromisoformat(ready["lastTransitionTime"])
    return max((max(silent, started or silent) + _PATIENCE - now).total_seconds(), 0)


def _seconds_left(
    pod: dict[str, Any], strategy: UpdateStrategy, now: dt.datetime, warming: Mapping[str, float]
) -> float | None:
    """Return how long the pod has to go on serving before it counts; None when it does not serve."""
    since = ready_since(pod)
    if since is None or _swapping(pod):
        return None
    return max(strategy.min_ready_seconds - (now - since).total_seconds(), warming.get(pod["metadata"]["name"], 0), 0)


def ready_since(pod: dict[str, Any]) -> dt.datetime | None:
    """Return since when the pod serves; None when it does not."""
    ready = _ready(pod)
    if _leaving(pod) or ready is None or ready["status"] != "True":
        return None
    return dt.datetime.fromisoformat(ready["lastTransitionTime"])


def _out_of_touch(pod: dict[str, Any]) -> bool:
    """Tell whether it is not the kubelet that calls the pod unready: its last word was that all containers are ready.

    The node does not report, or a readiness gate is closed. memcached may serve all the same, and deleting the pod
    would bring no other one before the node is back.
    """
    contained = _condition(pod, "ContainersReady")
    return not is_ready(pod) and contained is not None and contained["status"] == "True"


def _ready(pod: dict[str, Any]) -> dict[str, Any] | None:
    return _condition(pod, "Ready")


def _condition(pod: dict[str, Any], kind: str) -> dict[str, Any] | None:
    conditions = pod.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == kind), None)


def _running_since(pod: dict[str, Any]) -> dt.datetime | None:
    running = _container(pod).get("state", {}).get("running")
    return dt.datetime.fromisoformat(running["startedAt"]) if running else None


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    found = pod.get("status", {}).get("containerStatuses", [])
    return next((container for container in found if container["name"] == CONTAINER), {})


def _swapping(pod: dict[str, Any]) -> bool:
    return SWAP_UNDER_WAY in (pod["metadata"].get("annotations") or {})


def _leaving(pod: dict[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _ordinal(pod: dict[str, Any]) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])
