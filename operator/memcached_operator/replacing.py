"""Replaces a pod: its items are lost, so what it would start with is tried first, in a pod of its own."""

from __future__ import annotations

from memcached_operator import rehearsal
from memcached_operator.changes import Change, Outcome

__all__ = ["perform"]


async def perform(change: Change) -> Outcome:
    """Delete the pod; the StatefulSet controller makes it anew from the template."""
    if (waiting := await rehearsal.before_replacing(change)) is not None:
        return waiting
    await change.request.delete(change.pod)
    reason = f": {change.step.why}" if change.step.why else ""
    change.request.event(
        "Normal", "PodReplaced", f"Replaced pod {change.step.name}, which starts with an empty cache{reason}"
    )
    return Outcome()
