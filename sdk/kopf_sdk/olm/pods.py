"""What keeps a pod from running, in one sentence; pure functions over the pod as the API server shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["pod_problem", "waiting_for"]

Pod = Mapping[str, Any]

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_BROKEN = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
# One start may fail because what it needs comes up at the same time.
_PATIENCE = 2


def pod_problem(pod: Pod) -> str:
    """Return why a pod will not run unless somebody does something; empty when it may still.

    An image that cannot be pulled counts at the first failure, a container that ends with an error at the second.
    """
    name = pod["metadata"]["name"]
    for status in _containers(pod):
        where = f"pod {name}, container {status['name']}"
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), str(waiting.get("message") or "").strip()
        if reason in _PULL:
            return f"{where}: the image {status.get('image')} cannot be pulled ({reason}: {_short(message)})"
        if reason in _BROKEN:
            return f"{where}: {reason}: {_short(message)}"
        if reason == "CrashLoopBackOff" and int(status.get("restartCount") or 0) >= _PATIENCE:
            ended = (status.get("lastState") or {}).get("terminated") or {}
            return f"{where} ends again and again (exit code {ended.get('exitCode')}, {ended.get('reason')})" + (
                f": {_short(str(ended['message']))}" if ended.get("message") else ""
            )
    return ""


def waiting_for(pod: Pod) -> str:
    """Return what a pod that is not ready waits for, as far as it says; empty when it is ready."""
    if problem := pod_problem(pod):
        return problem
    name = pod["metadata"]["name"]
    conditions = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return f"pod {name} is not scheduled: {scheduled.get('message') or scheduled.get('reason')}"
    for status in _containers(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"pod {name}, container {status['name']} waits: {waiting.get('reason')}"
    ready = conditions.get("Ready") or {}
    if ready.get("status") == "False" and ready.get("reason") != "PodCompleted":
        return f"pod {name} is not ready: {ready.get('message') or ready.get('reason')}"
    return ""


def _containers(pod: Pod) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _short(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
