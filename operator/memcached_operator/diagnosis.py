"""What keeps pods from serving, in the words of the cause."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Problem", "Refusals", "diagnose"]

# Why a container waits, where waiting longer does not help. Anything else (ContainerCreating, …) is on its way.
_FATAL_WAITING = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


@dataclass(frozen=True)
class Problem:
    """One cause: a word for programs, a sentence for people."""

    reason: str
    message: str


def diagnose(pods: Sequence[dict[str, Any]]) -> list[Problem]:
    """Return what is wrong with the pods, in the order of their names; nothing for pods that are just starting."""
    return [problem for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])) for problem in _problems(pod)]


class Refusals:
    """Which pods cannot even be made. A StatefulSet has no condition for it, only events.

    An event outlives its cause: it counts while pods are missing, and only if it is younger than the last moment when
    none was.
    """

    def __init__(self) -> None:
        self._complete: dict[str, dt.datetime] = {}

    def problems(
        self,
        stateful_set: dict[str, Any] | None,
        pods: Sequence[dict[str, Any]],
        events: Callable[[], Iterable[dict[str, Any]]],
        *,
        now: dt.datetime,
    ) -> list[Problem]:
        """Return why pods of this StatefulSet are missing, in the words of what refused them.

        Parameters
        ----------
        events
            Returns events (events.k8s.io/v1) of the reason FailedCreate, of this and of other StatefulSets; asked only
            while pods are missing.
        """
        if stateful_set is None:
            return []
        uid = stateful_set["metadata"]["uid"]
        if len(pods) >= stateful_set["spec"].get("replicas", 1):
            self._complete[uid] = now
            return []
        since = self._complete.get(uid, dt.datetime.min.replace(tzinfo=dt.UTC))
        found = [event for event in events() if event.get("regarding", {}).get("uid") == uid and _last(event) >= since]
        if not found:
            return []
        note = str(max(found, key=_last).get("note", ""))
        return [Problem(_refusal(note), note)]


def _last(event: dict[str, Any]) -> dt.datetime:
    """Return when an event was last seen, whichever of the two APIs wrote it."""
    stamp = (event.get("series") or {}).get("lastObservedTime") or event.get("deprecatedLastTimestamp")
    return dt.datetime.fromisoformat(stamp or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _refusal(note: str) -> str:
    words = {"exceeded quota": "QuotaExceeded", "violates PodSecurity": "PodSecurityViolation"}
    return next((reason for word, reason in words.items() if word in note), "PodsRefused")


def _problems(pod: dict[str, Any]) -> Iterator[Problem]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Problem("Unschedulable", f"pod {name}: {condition.get('message', 'not scheduled')}")
    if status.get("phase") == "Failed":
        yield Problem(status.get("reason", "PodFailed"), f"pod {name}: {status.get('message', 'failed')}")
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _FATAL_WAITING:
            yield Problem(waiting["reason"], f"pod {name}: {_cause(container, waiting)}")


def _cause(container: dict[str, Any], waiting: dict[str, Any]) -> str:
    """Return the kubelet's words; for a crash loop also how the last run ended, which is the cause."""
    message = str(waiting.get("message", "")) or f"container {container['name']} waits"
    ended = container.get("lastState", {}).get("terminated")
    if not ended:
        return message
    return f"{message} (last run: {ended.get('reason', 'ended')}, exit code {ended.get('exitCode')})"
