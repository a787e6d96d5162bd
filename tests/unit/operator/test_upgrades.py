"""Which resources keep OLM from replacing the operator."""

from __future__ import annotations

from typing import Any

import pytest

from memcached_operator.upgrades import HOLDING, holds_upgrade


def memcached(status: str, reason: str, degraded: str = "AsExpected") -> dict[str, Any]:
    conditions = [
        {"type": "Progressing", "status": status, "reason": reason},
        {"type": "Degraded", "status": str(degraded != "AsExpected"), "reason": degraded},
    ]
    return {"status": {"conditions": conditions}}


@pytest.mark.parametrize("reason", sorted(HOLDING))
def test_what_must_not_be_interrupted_holds(reason: str) -> None:
    assert holds_upgrade(memcached("True", reason)) == reason


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"status": {}},
        memcached("True", "ReplacingPods"),
        memcached("True", "WaitingForPods"),
        memcached("False", "UpToDate"),
        memcached("False", "Paused"),
        memcached("True", "Resizing", degraded="InvalidResource"),
        memcached("True", "WarmUpgrading", degraded="ImagePullBackOff"),
    ],
)
def test_the_rest_does_not(manifest: dict[str, Any]) -> None:
    assert holds_upgrade(manifest) is None
