"""Waiting for OLM goes on over what passes, and ends at what does not."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.olm import Watch, watch
from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError


class Answers(Kubectl):
    """An API server that answers this many times with an error before it says what is there."""

    def __init__(self, errors: int) -> None:
        self.errors = errors

    def get(self, *arguments: str, timeout: float = 0) -> Any:
        if self.errors:
            self.errors -= 1
            raise KubectlError("kubectl get: etcdserver: leader changed")
        return {"items": []}


def looking(errors: int) -> Watch:
    return Watch(Answers(errors), "place", package="package", csv="package.v1", timeout=60)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "GRACE", 0.2)
    monkeypatch.setattr(watch, "_POLL", 0.01)


def test_an_api_server_may_be_away_for_a_moment() -> None:
    assert looking(errors=3).until(lambda view: True).namespace == "place"


def test_one_that_stays_away_ends_it_in_its_words() -> None:
    with pytest.raises(KubectlError, match="leader changed"):
        looking(errors=10**6).until(lambda view: True)
