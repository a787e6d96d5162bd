"""Where pods may run is handed on as it is: what no node offers is told in the scheduler's words."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from e2e.operator.conftest import Cache
from waiting import eventually

pytestmark = pytest.mark.node

NOWHERE = {"key": "example.com/nowhere", "operator": "Exists"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [{"matchExpressions": [NOWHERE]}]
                        }
                    }
                }
            },
            "didn't match Pod's node affinity/selector",
        ),
        (
            {
                "size": 2,
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "minDomains": 2,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "cache"}},
                    }
                ],
            },
            "didn't match pod topology spread constraints",
        ),
    ],
)
def test_a_place_that_no_node_offers_is_named_in_the_schedulers_words(
    cache: Cache, spec: dict[str, Any], words: str
) -> None:
    cache.apply(**spec)
    eventually(lambda: cache.condition("Degraded")["reason"] == "Unschedulable")
    assert words in cache.condition("Degraded")["message"]
    shown = [
        dt.datetime.fromisoformat(condition["lastTransitionTime"])
        for pod in cache.pods().values()
        for condition in pod["status"]["conditions"]
        if (condition["type"], condition["status"]) == ("PodScheduled", "False")
    ]
    told = dt.datetime.fromisoformat(cache.condition("Degraded")["lastTransitionTime"])
    assert told - min(shown) <= dt.timedelta(seconds=15), "told too late"

    def in_an_event() -> bool:
        found = json.loads(cache.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
        return any(event["reason"] == "Unschedulable" and words in event["note"] for event in found)

    eventually(in_an_event)
