"""What a container asks for follows from the resource; amounts that are given are never changed."""

from __future__ import annotations

from typing import Any

import pytest

from memcached_operator.sizing import resources
from unit.operator.factory import memcached


@pytest.mark.parametrize(
    ("given", "request_", "limit"),
    [
        ({}, "116Mi", "132Mi"),
        ({"limits": {"memory": "1Gi"}}, "116Mi", "1Gi"),
        ({"requests": {"memory": "100Mi"}}, "100Mi", "132Mi"),
        ({"requests": {"memory": "4Gi"}}, "4Gi", "4Gi"),
        ({"requests": {"memory": "4Gi"}, "limits": {"memory": "2Gi"}}, "4Gi", "2Gi"),
    ],
)
def test_what_is_derived_gives_way_to_what_is_given(given: dict[str, Any], request_: str, limit: str) -> None:
    found = resources(memcached(resources=given))
    assert (found["requests"]["memory"], found["limits"]["memory"]) == (request_, limit)


def test_a_limit_of_cpu_bounds_the_derived_request() -> None:
    assert resources(memcached(resources={"limits": {"cpu": "10m"}}))["requests"]["cpu"] == "10m"
    assert "cpu" not in resources(memcached())["limits"]
