"""What is written of a status."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import Field

from kopf_sdk.api import Condition, Model
from kopf_sdk.runtime.status import merged_status, status_patch

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
LIVE: dict[str, Any] = {
    "ready": 1,
    "conditions": [
        {"type": "Available", "status": "True", "reason": "Fine", "message": "", "observedGeneration": 1,
         "lastTransitionTime": "2025-01-01T00:00:00Z"},
    ],
}  # fmt: skip


class Status(Model):
    ready: int = 0
    observed_generation: int | None = None
    conditions: list[Condition] = Field(default_factory=list)


def available(status: str, reason: str = "Fine") -> dict[str, Any]:
    return {"type": "Available", "status": status, "reason": reason}


def test_a_transition_time_stays_while_the_status_stays() -> None:
    status = merged_status({"conditions": [available("True", "Better")]}, LIVE, 2, NOW)
    assert status["conditions"] == [
        {
            "type": "Available",
            "status": "True",
            "reason": "Better",
            "message": "",
            "observedGeneration": 2,
            "lastTransitionTime": "2025-01-01T00:00:00Z",
        }
    ]


def test_a_transition_time_is_now_when_the_status_changes() -> None:
    status = merged_status({"conditions": [available("False")]}, LIVE, 1, NOW)
    assert status["conditions"][0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_a_status_that_tells_the_generation_is_told_it() -> None:
    assert merged_status(Status(ready=1), None, 7, NOW)["observedGeneration"] == 7
    assert "observedGeneration" not in merged_status({"ready": 1}, None, 7, NOW)


def test_an_equal_status_needs_no_patch() -> None:
    wanted = merged_status({"ready": 1, "conditions": [available("True")]}, LIVE, 1, NOW)
    assert status_patch(wanted, LIVE) == {}


def test_a_patch_holds_the_difference_and_removes_what_is_gone() -> None:
    live = {"a": 1, "b": {"c": 1, "d": 2}, "e": 3, "f": []}
    assert status_patch({"a": 1, "b": {"c": 1, "d": 3}, "f": []}, live) == {"b": {"d": 3}, "e": None}
