"""Carries out what `rollout` planned: one performer per kind of step, called again until the pod is as it should be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.runtime import ApiError, Request
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.diagnosis import Problem
from memcached_operator.fleet import Access, Fleet, Observation
from memcached_operator.rollout import Rollout, Step, StepKind
from memcached_operator.template import metadata_patch

__all__ = ["Change", "Changes", "Outcome", "Performed", "adopt"]


@dataclass(frozen=True)
class Change:
    """One step, with everything it takes."""

    request: Request[Memcached]
    step: Step
    stateful_set: dict[str, Any]
    fleet: Fleet
    access: Access | None
    observation: Observation | None
    """What the pod's memcached said of itself; None when it could not be asked."""
    stage: str = ""
    """What the step waited for when it was last tried with this pod and template; empty at first."""
    elapsed: float = 0
    """Seconds since it has been waiting for that."""

    @property
    def pod(self) -> dict[str, Any]:
        """The pod to change."""
        return self.step.pod

    def waited(self, stage: str) -> float:
        """Return for how many seconds the step has been waiting for this, and for nothing else."""
        return self.elapsed if stage == self.stage else 0

    async def patch(self, body: Mapping[str, Any], *, subresource: str = "") -> dict[str, Any]:
        """Patch the pod and return it as it is then."""
        return await self.request.patch(self.pod, body, subresource=subresource)


@dataclass(frozen=True)
class Outcome:
    """What came of a step."""

    wait: float = 0
    """Seconds until it must be looked at again; 0 when it is done, or a watch will tell."""
    problem: Problem | None = None
    """What keeps it from going on."""
    impossible: str = ""
    """Why it will never work for this pod and template: the next plan does without."""
    note: str = ""
    """How far it is, for people."""
    stage: str = ""
    """What it waits for: patience with one thing is not used up by another."""


_REFUSED = {403: "Forbidden", 422: "Rejected"}
"""Answers of the API server that only people can change: by a role, or by an admission policy."""
_MENDED = 15.0
"""Seconds until such a step is tried again."""
Performer = Callable[[Change], Awaitable[Outcome]]


@dataclass
class Performed:
    """What came of all steps of one reconciliation."""

    wait: float = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Changes:
    """Performs steps, and remembers what turned out not to work. Shared by all reconciliations of one process.

    Nothing of it is needed to go on: after a restart of the operator it is found out again.

    Parameters
    ----------
    performers
        What does each kind of step.
    clock
        Seconds, never going back.
    """

    def __init__(self, performers: Mapping[StepKind, Performer], clock: Callable[[], float] = time.monotonic) -> None:
        self._performers = performers
        self._clock = clock
        self._refusals: dict[str, dict[tuple[str, StepKind, str], str]] = {}
        self._stages: dict[str, dict[tuple[str, StepKind, str], tuple[str, float]]] = {}

    def impossible(self, key: str, stateful_set: Mapping[str, Any] | None) -> dict[tuple[str, StepKind], str]:
        """Return which steps turned out not to work for pods of the resource `key` and the present template."""
        revision = _revision(stateful_set or {})
        found = self._refusals.get(key, {})
        return {(uid, kind): why for (uid, kind, tried), why in found.items() if tried == revision}

    def gone(self, key: str) -> None:
        """Forget a resource that is no more."""
        self._refusals.pop(key, None)
        self._stages.pop(key, None)

    async def perform(
        self,
        request: Request[Memcached],
        progress: Rollout,
        stateful_set: dict[str, Any] | None,
        *,
        fleet: Fleet,
        access: Access | None,
        running: Mapping[str, Observation],
    ) -> Performed:
        """Do all steps that are due, next to each other.

        Raises
        ------
        ApiError
            If one of them failed in a way that trying again may help; the others are done.
        """
        steps, revision = progress.steps, _revision(stateful_set or {})
        known = self._refusals.pop(request.key, {})
        if kept := {mark: why for mark, why in known.items() if mark[2] == revision}:
            self._refusals[request.key] = kept
        if not steps or stateful_set is None:
            self._stages.pop(request.key, None)
            return Performed()
        now = self._clock()
        before = self._stages.get(request.key, {})
        marks = [(step.pod["metadata"]["uid"], step.kind, revision) for step in steps]
        stages = self._stages[request.key] = {mark: before.get(mark, ("", now)) for mark in marks}
        changes = [
            Change(
                request,
                step,
                stateful_set,
                fleet,
                access,
                running.get(step.name),
                stages[mark][0],
                now - stages[mark][1],
            )
            for step, mark in zip(steps, marks, strict=True)
        ]
        done = await asyncio.gather(
            *(self._performers[change.step.kind](change) for change in changes), return_exceptions=True
        )
        outcomes = [_told(step, outcome) for step, outcome in zip(steps, done, strict=True)]
        performed = Performed()
        for mark, outcome in zip(marks, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                continue
            if outcome.stage != stages[mark][0]:
                stages[mark] = (outcome.stage, self._clock())
            if outcome.impossible:
                self._refusals.setdefault(request.key, {})[mark] = outcome.impossible
            wait = 0.1 if outcome.impossible else outcome.wait
            performed.wait = min(filter(None, (performed.wait, wait)), default=0)
            performed.problems += [outcome.problem] if outcome.problem else []
            performed.notes += [outcome.note] if outcome.note else []
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in sorted(failures, key=lambda failure: isinstance(failure, ApiError)):
            raise failure
        return performed


def _told(step: Step, outcome: Outcome | BaseException) -> Outcome | BaseException:
    """Make a problem that is told in the status of a refusal; raised, it would keep that from being written.

    Not of a pod that was replaced meanwhile: the cache will know.
    """
    if not isinstance(outcome, ApiError) or outcome.status not in _REFUSED:
        return outcome
    if any(where == "metadata.uid" for where, _ in outcome.causes):
        return outcome
    return Outcome(wait=_MENDED, problem=Problem(_REFUSED[outcome.status], f"pod {step.name}: {outcome.message}"))


async def adopt(change: Change) -> Outcome:
    """Give the pod the template's labels and annotations: it is what the template wants otherwise."""
    await change.patch(metadata_patch(change.pod, change.stateful_set))
    return Outcome()


def _revision(stateful_set: Mapping[str, Any]) -> str:
    return str(stateful_set.get("status", {}).get("updateRevision", ""))
