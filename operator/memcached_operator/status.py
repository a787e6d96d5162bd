"""What the resource's status says, computed from what was observed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kopf_sdk.api import Condition
from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached, MemcachedStatus
from memcached_operator.api.v1alpha1.status import Binding
from memcached_operator.diagnosis import Problem, diagnose
from memcached_operator.fleet import Observation
from memcached_operator.rollout import NO_RESIZE, Rollout, StepKind, is_ready
from memcached_operator.rotation import Rotation

__all__ = ["HELD", "evaluate"]

HELD = (
    "A newer operator would make the pods otherwise: they follow with the next change that replaces them, or at once "
    "when the annotation cache.example.com/rollout gets a new value."
)

_UNDER_WAY = {
    StepKind.REPLACE: "RollingOut",
    StepKind.HANDOVER: "HandingOver",
    StepKind.SWAP: "WarmUpgrading",
    StepKind.RESIZE: "Resizing",
    StepKind.ADOPT: "Resizing",
}
"""The reason for the most that has to be done to any pod; OLM waits for some of them (see `upgrades`)."""


def evaluate(
    memcached: Memcached,
    pods: Sequence[dict[str, Any]],
    rollout: Rollout,
    problems: Sequence[Problem] = (),
    running: Mapping[str, Observation] | None = None,
    *,
    notes: Sequence[str] = (),
    returning: Sequence[str] = (),
    held: Sequence[str] = (),
    rotation: Rotation | None = None,
    bound: bool = False,
    refused: bool = False,
) -> MemcachedStatus:
    """Return the status that these pods justify.

    Parameters
    ----------
    memcached
        The resource, for what is wanted.
    pods
        Its pods as observed.
    rollout
        Which of them run an older template.
    problems
        What else keeps the operator from its work, beside what the pods themselves tell.
    running
        What the processes in the pods said of themselves; nothing is claimed for pods that could not be asked.
    notes
        How far what is being done to pods is.
    returning
        Pods whose items are still in a spare pod.
    held
        What of the pods a newer operator would change, and does not unless it is asked.
    rotation
        Which pods do not have the Secrets' certificate and users yet.
    bound
        Whether the Secret that applications bind to exists.
    refused
        Whether the StatefulSet could not be made what the resource asks for; pods are compared with what it is.
    """
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    ready = sum(is_ready(pod) for pod in pods)
    nodes = [name for name in naming.pod_names(memcached) if name in by_name]
    leaving = sorted(set(by_name) - set(nodes))
    return MemcachedStatus(
        observed_generation=memcached.metadata.generation,
        replicas=len(pods),
        ready_replicas=ready,
        selector=naming.selector_string(memcached),
        nodes=nodes + leaving,
        servers=naming.servers(memcached),
        version=_all(observation.version for observation in (running or {}).values()),
        memory=_all(_amount(observation.item_memory) for observation in (running or {}).values()),
        binding=Binding(name=naming.binding_secret(memcached)) if bound else None,
        conditions=[
            _available(memcached, ready),
            _progressing(
                memcached,
                pods,
                rollout,
                notes,
                held,
                rotation=rotation or Rotation(),
                returning=returning,
                refused=refused,
            ),
            _degraded([*problems, *diagnose(pods), *_stopped(rollout), *_stuck(rotation or Rotation())]),
        ],
    )


def _all(values: Iterable[str]) -> str | None:
    """Return the value that all have; all of them during a rollout, None when nobody could be asked."""
    return ", ".join(sorted(set(values))) or None


def _amount(memory: int) -> str:
    mebibytes = memory // 2**20
    return f"{mebibytes // 1024}Gi" if mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def _available(memcached: Memcached, ready: int) -> Condition:
    """Available means what the disruption budget guarantees; a single pod has to be there itself."""
    size = memcached.spec.size
    if size == 0:
        return _condition("Available", True, "ScaledToZero", "No pod is wanted.")
    required = max(size - memcached.spec.pod_disruption_budget.max_unavailable, 1)
    if ready >= required:
        return _condition("Available", True, "EnoughPodsReady", f"{ready} of {size} pods answer.")
    return _condition(
        "Available", False, "TooFewPodsReady", f"{ready} of {size} pods answer, {required} are needed to serve."
    )


def _progressing(
    memcached: Memcached,
    pods: Sequence[dict[str, Any]],
    rollout: Rollout,
    notes: Sequence[str],
    held: Sequence[str],
    *,
    rotation: Rotation,
    returning: Sequence[str],
    refused: bool,
) -> Condition:
    size, existing, ready = memcached.spec.size, len(pods), sum(is_ready(pod) for pod in pods)
    if memcached.spec.paused:
        return _condition("Progressing", False, "Paused", "spec.paused is set: nothing is changed.")
    if existing != size and not returning:
        return _condition("Progressing", True, "Scaling", f"{existing} of {size} pods exist.")
    if returning and not rollout.outdated:
        message = f"On their way back from spare pods: the items of {', '.join(returning)}."
        return _condition("Progressing", True, "HandingOver", message)
    if rollout.outdated:
        kinds = {StepKind.HANDOVER} if returning else {step.kind for step in rollout.planned}
        reason = next((reason for kind, reason in _UNDER_WAY.items() if kind in kinds), "RollingOut")
        whys = dict.fromkeys(step.why for step in rollout.planned if step.why)
        reason = "ResizeUnavailable" if reason == "RollingOut" and NO_RESIZE in whys else reason
        sentences = [
            f"Still with the previous configuration: {', '.join(rollout.outdated)}.",
            *(f"Not in place: {why}." for why in whys),
            *([f"Waiting until {', '.join(rollout.filling)} served long enough."] if rollout.filling else []),
            *(f"{note[0].upper()}{note[1:]}." for note in notes),
        ]
        return _condition("Progressing", True, reason, " ".join(sentences))
    if refused:
        return _condition(
            "Progressing", True, "RollingOut", "The StatefulSet cannot be made what the resource asks for."
        )
    if rotation.pending:
        return _condition("Progressing", True, "Rotating", f"Not in every pod yet: {rotation.words}.")
    if ready < size:
        return _condition("Progressing", True, "WaitingForPods", f"{ready} of {size} pods answer.")
    if rollout.undecided:
        return _condition("Progressing", True, "RollingOut", "The StatefulSet has yet to take in the template.")
    sentences = [f"All {size} pods run what the resource asks for.", *([HELD] if held else [])]
    return _condition("Progressing", False, "UpToDate", " ".join(sentences))


def _stopped(rollout: Rollout) -> list[Problem]:
    if not rollout.stopped:
        return []
    return [
        Problem(
            "RolloutStopped",
            f"the rollout stopped, because {rollout.stopped}; the pods that serve keep the previous configuration",
        )
    ]


def _stuck(rotation: Rotation) -> list[Problem]:
    if not rotation.stuck:
        return []
    return [Problem("RotationStuck", f"changed certificates or users are not taken over: {rotation.words}")]


def _degraded(problems: Sequence[Problem]) -> Condition:
    if not problems:
        return _condition("Degraded", False, "AsExpected", "")
    message = "; ".join(dict.fromkeys(problem.message for problem in problems))
    return _condition("Degraded", True, problems[0].reason, message)


def _condition(kind: str, holds: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status="True" if holds else "False", reason=reason, message=message)
