"""Refused pods: an event counts for the StatefulSet it is about, while pods are missing, and not longer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from memcached_operator.diagnosis import Problem, Refusals
from unit.operator.factory import NOW, pod

STATEFUL_SET = {"metadata": {"uid": "set-1"}, "spec": {"replicas": 2}}
QUOTA = 'create Pod cache-1 in StatefulSet cache failed error: pods "cache-1" is forbidden: exceeded quota: few'


def event(note: str = QUOTA, uid: str = "set-1", seconds_ago: float = 10) -> dict[str, Any]:
    stamp = (NOW - dt.timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {}, "regarding": {"uid": uid}, "note": note, "deprecatedLastTimestamp": stamp}


def found(*events: dict[str, Any], refusals: Refusals | None = None, pods: int = 1) -> list[Problem]:
    existing = [pod(f"cache-{ordinal}") for ordinal in range(pods)]
    return (refusals or Refusals()).problems(STATEFUL_SET, existing, lambda: events, now=NOW)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        (
            'pods "cache-1" is forbidden: violates PodSecurity "restricted:latest": seccompProfile',
            "PodSecurityViolation",
        ),
        ('admission webhook "no.example.com" denied the request: not today', "PodsRefused"),
    ],
)
def test_the_cause_is_named_in_its_own_words(note: str, reason: str) -> None:
    assert found(event(note)) == [Problem(reason, note)]


def test_the_last_of_several_causes_counts() -> None:
    assert found(event("later", seconds_ago=1), event("earlier", seconds_ago=9))[0].message == "later"


def test_nothing_is_wrong_when_no_pod_is_missing_or_another_stateful_set_is_concerned() -> None:
    assert found(event(), pods=2) == []
    assert found(event(uid="set-0")) == []
    assert Refusals().problems(None, [], lambda: [event()], now=NOW) == []


def test_an_event_from_before_all_pods_were_there_is_no_cause_of_what_is_missing_now() -> None:
    refusals = Refusals()
    assert found(event(), refusals=refusals, pods=2) == []
    assert found(event(), refusals=refusals) == []
    assert found(event(seconds_ago=0), refusals=refusals) != []
