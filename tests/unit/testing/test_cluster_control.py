"""Talking to the keeper when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.testing.cluster.cluster import Cluster
from kopf_sdk.testing.cluster.control import KeeperGoneError, ask
from kopf_sdk.testing.cluster.state import Phase, Record, Size, layout


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path / ("long" * 30)))


def test_nobody_answers_in_a_directory_without_a_cluster() -> None:
    paths = layout("dev")
    with pytest.raises(KeeperGoneError, match="'dev' does not answer"):
        ask(paths, "status")
    paths.create()
    with pytest.raises(KeeperGoneError, match="'dev' does not answer"):
        ask(paths, "status")


@pytest.mark.parametrize(
    ("phase", "state"), [(Phase.READY, "dead"), (Phase.STARTING, "dead"), (Phase.FAILED, "failed")]
)
def test_status_tells_what_is_left_of_a_cluster(phase: Phase, state: str) -> None:
    cluster = Cluster("dev")
    assert cluster.status().state == "absent"
    cluster.layout.create()
    cluster.layout.save(Record("dev", Size.CONTROL_PLANE, phase, "reason"))
    status = cluster.status()
    assert status.state == state
    assert {c.state for c in status.components} == {"gone"}


def test_a_directory_without_a_record_is_what_a_killed_start_leaves() -> None:
    cluster = Cluster("dev")
    cluster.layout.create()
    assert cluster.status().state == "dead"
    assert cluster.down()
    assert cluster.status().state == "absent"
    assert not cluster.down()
