"""The status of a resource: what is to be written, if anything."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from kopf_sdk.api import Model

__all__ = ["merged_status", "status_patch"]


def merged_status(
    wanted: Model | Mapping[str, Any], live: Mapping[str, Any] | None, generation: int, now: dt.datetime
) -> dict[str, Any]:
    """Complete a computed status for writing.

    A condition keeps its `lastTransitionTime` for as long as its `status` stays, and says for which generation it was
    computed; a status that has an `observedGeneration` gets it (API conventions, "typical status properties").
    """
    status = wanted.to_json() if isinstance(wanted, Model) else dict(wanted)
    before = {condition["type"]: condition for condition in (live or {}).get("conditions") or ()}
    if "conditions" in status:
        status["conditions"] = [
            _completed(condition, before.get(condition["type"]), generation, now) for condition in status["conditions"]
        ]
    fields = type(wanted).model_fields if isinstance(wanted, Model) else {}
    if "observed_generation" in fields or "observedGeneration" in status:
        status["observedGeneration"] = status.get("observedGeneration") or generation
    return status


def _completed(
    condition: Mapping[str, Any], before: Mapping[str, Any] | None, generation: int, now: dt.datetime
) -> dict[str, Any]:
    completed = {"message": "", **{key: value for key, value in condition.items() if value is not None}}
    completed.setdefault("observedGeneration", generation)
    if before is not None and before.get("status") == completed["status"] and before.get("lastTransitionTime"):
        completed["lastTransitionTime"] = before["lastTransitionTime"]
    else:
        completed["lastTransitionTime"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return completed


def status_patch(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7386) that turns one into the other; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        before = live.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := status_patch(value, before):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch
