"""When the operator itself should not be replaced: in the middle of what the next version would have to begin anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["HOLDING", "holds_upgrade"]

HOLDING = frozenset({"Resizing", "Rotating", "WarmUpgrading", "HandingOver"})
"""Reasons of the condition Progressing. Pods that are merely replaced or awaited do not hold: the next operator goes on
where this one stopped, and a rollout that is stuck may be what it comes to mend."""


def holds_upgrade(manifest: Mapping[str, Any]) -> str | None:
    """Return what of a Memcached (as the API server has it) is under way; None when the operator may be replaced."""
    conditions = {condition["type"]: condition for condition in (manifest.get("status") or {}).get("conditions") or ()}
    degraded, progressing = conditions.get("Degraded") or {}, conditions.get("Progressing") or {}
    if degraded.get("reason") == "InvalidResource":
        return None  # nothing is done to it until its spec is mended
    if progressing.get("reason") == "WarmUpgrading" and degraded.get("status") == "True":
        return None  # an image that cannot be pulled, say: it waits for somebody, and its pods serve as they are
    if progressing.get("status") == "True" and progressing.get("reason") in HOLDING:
        return str(progressing["reason"])
    return None
