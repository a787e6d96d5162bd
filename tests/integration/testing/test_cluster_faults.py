"""`kill -9` of anything: `status` tells it, `up` repairs it, `down` leaves nothing."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.traces import Traces

_COMMAND = [sys.executable, "-c", "from kopf_sdk.cli import main; main()", "cluster"]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough that a socket in it could not be bound by its path.
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path / ("deep-" * 20)))
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    monkeypatch.delenv("CLUSTER", raising=False)


@pytest.fixture
def one() -> Iterator[Cluster]:
    cluster = Cluster("one")
    yield cluster
    cluster.down()


@pytest.fixture
def two() -> Iterator[Cluster]:
    cluster = Cluster("two")
    yield cluster
    cluster.down()


def _eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _up(name: str, size: Size = Size.CONTROL_PLANE) -> subprocess.Popen[bytes]:
    command = [*_COMMAND, "up", "--name", name, "--size", size.value]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def test_two_side_by_side_each_killed_and_removed(one: Cluster, two: Cluster) -> None:
    traces = Traces(one.layout), Traces(two.layout)
    # The same command twice at the same time, and another cluster beside it.
    starts = _up("one"), _up("one"), _up("two")
    assert [start.wait(timeout=600) for start in starts] == [0, 0, 0]
    for trace in traces:
        trace.remember()
        assert {line.split()[0] for line in trace.left()} >= {"process", "cgroup", "directory"}
    assert one.kubeconfig != two.kubeconfig
    one.kubectl("create", "configmap", "only-in-one")
    assert "only-in-one" not in two.kubectl("get", "configmaps", "-o", "name")

    # A component: the others live, `up` starts it again, the data is there.
    os.kill(one.process("kube-apiserver"), signal.SIGKILL)
    os.kill(one.process("kube-controller-manager"), signal.SIGKILL)
    _eventually(lambda: one.status().state == "degraded")
    assert {c.name: c.state for c in one.status().components} == {
        "etcd": "running",
        "kube-apiserver": "exited",
        "kube-controller-manager": "exited",
    }
    assert one.up(Size.CONTROL_PLANE) is True
    assert one.status().state == "ready"
    assert one.get("configmap", "only-in-one")

    # The keeper: everything goes with it, and `up` makes a new cluster.
    os.kill(one.process("keeper"), signal.SIGKILL)
    _eventually(lambda: one.status().state == "dead")
    _eventually(lambda: not [line for line in traces[0].left() if line.startswith("process")])
    assert two.status().state == "ready"
    assert one.down()
    assert traces[0].left() == []

    # PID 1: the same.
    os.kill(two.process("init"), signal.SIGKILL)
    _eventually(lambda: two.status().state == "dead")
    assert two.down()
    assert traces[1].left() == []


def test_a_frozen_keeper_does_not_stop_down(one: Cluster) -> None:
    traces = Traces(one.layout)
    one.up(Size.CONTROL_PLANE)
    traces.remember()
    os.kill(one.process("keeper"), signal.SIGSTOP)
    assert one.down()
    assert traces.left() == []


def _kill_up_at_random(cluster: Cluster, size: Size, moments: list[float]) -> None:
    traces = Traces(cluster.layout)
    for moment in moments:
        start = _up(cluster.name, size)
        time.sleep(moment)
        os.killpg(start.pid, signal.SIGKILL)
        start.wait()
        record = cluster.layout.keeper()
        if record and record.init_pid:
            with contextlib.suppress(OSError):  # it may be ending
                traces.remember()
        cluster.down()
        assert traces.left() == [], f"up was killed after {moment:.2f} s"


def test_up_killed_at_random_moments(one: Cluster) -> None:
    # Python needs 0.3 s and more until it does anything; a good second later all processes run.
    _kill_up_at_random(one, Size.CONTROL_PLANE, [random.uniform(0.2, 2.5) for _ in range(5)])


@pytest.mark.full
@pytest.mark.parametrize("size", list(Size))
def test_up_killed_at_many_random_moments(one: Cluster, size: Size) -> None:
    _kill_up_at_random(one, size, [random.uniform(0.2, 8) for _ in range(20)])


def test_a_cluster_ends_with_its_owner(one: Cluster) -> None:
    traces = Traces(one.layout)
    code = """
import os, time
from kopf_sdk.testing.cluster import Cluster, Size
Cluster("one").up(Size.CONTROL_PLANE, owner=os.getpid())
print("up", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        traces.remember()
        owner.kill()
    _eventually(lambda: traces.left() == [])


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", list(Size))
def test_up_and_down_twenty_times(one: Cluster, size: Size) -> None:
    traces = Traces(one.layout)
    for _ in range(20):
        assert one.up(size) is True
        traces.remember()
        started = time.monotonic()
        assert one.down() is True
        assert time.monotonic() - started < 30
        assert traces.left() == []
