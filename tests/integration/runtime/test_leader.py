"""Several replicas: one acts, another takes over, and who lost the lease is silent."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integration.runtime.access import account, grant_toy
from integration.runtime.conftest import Audit, Process
from integration.runtime.test_controller import Make, available
from kopf_sdk.runtime import ExitCode
from kopf_sdk.testing.cluster import Cluster

Start = Callable[..., Process]
FAST = ("--leader-elect", "--lease-duration=10", "--renew-deadline=7", "--retry-period=1")
SLOW = ("--leader-elect", "--lease-duration=60", "--renew-deadline=40", "--retry-period=2")


def until(condition: Callable[[], object], seconds: float = 120.0) -> float:
    """Wait for something; return how long it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "waited in vain"
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.fixture
def replicas(
    cluster: Cluster, namespace: str, start: Start, tmp_path: Path, request: pytest.FixtureRequest
) -> list[Process]:
    """A leader and a standby, each with a service account of its own, so that the audit log tells them apart."""
    flags = getattr(request, "param", FAST)
    processes = []
    for name in ("first", "second"):
        kubeconfig = account(cluster, namespace, name, tmp_path)
        grant_toy(cluster, (namespace, name), [namespace])
        process = start(f"--watch-namespaces={namespace}", *flags, kubeconfig=kubeconfig)
        process.wait_for("leading as" if name == "first" else "waiting for the lease")
        processes.append(process)
    return processes


@pytest.mark.parametrize("replicas", [SLOW], indirect=True, ids=["a lease of a minute"])
def test_a_standby_takes_over_at_once_when_the_leader_is_stopped(
    cluster: Cluster, namespace: str, toys: Make, replicas: list[Process], audit: Audit
) -> None:
    first, second = replicas
    toys("one", children=["Service"])
    until(lambda: available(cluster, namespace))
    audit.start()
    assert first.end() == ExitCode.STOPPED, first.log.read_text()
    assert first.logged("released the lease")
    toys("two", children=["Service"])
    assert until(lambda: available(cluster, namespace, "two")) < 20, "it waited for the lease to end"
    # The standby's caches were warm: it lists nothing when it takes over.
    lists = audit.requests(
        lambda e: (
            e["verb"] == "list"
            and e["user"]["username"].endswith(":second")
            and e["objectRef"]["namespace"] == namespace
        )
    )
    assert lists == []
    assert second.end() == ExitCode.STOPPED


def test_a_leader_that_slept_through_its_lease_does_not_act_when_it_wakes_up(
    cluster: Cluster, namespace: str, toys: Make, replicas: list[Process], audit: Audit
) -> None:
    first, second = replicas
    first.popen.send_signal(signal.SIGSTOP)
    toys("one", children=["Service"])
    second.wait_for("leading as")
    until(lambda: available(cluster, namespace))
    time.sleep(2)
    audit.start()
    woken = datetime.now(UTC).isoformat()
    toys("two", children=["Service"])  # an event waits for both
    first.popen.send_signal(signal.SIGCONT)
    assert first.popen.wait(120) == ExitCode.LEADERSHIP_LOST
    until(lambda: available(cluster, namespace, "two"))
    time.sleep(1)
    acts = audit.requests(
        lambda e: e["user"]["username"].endswith(f"{namespace}:first") and e["requestReceivedTimestamp"] > woken
    )
    assert acts == []
    assert second.end() == ExitCode.STOPPED


def test_a_killed_leader_is_followed_after_its_lease(
    cluster: Cluster, namespace: str, toys: Make, replicas: list[Process]
) -> None:
    first, second = replicas
    first.popen.kill()
    toys("one", children=["Service"])
    assert 1 < until(lambda: available(cluster, namespace)) < 60
    assert second.end() == ExitCode.STOPPED


def test_a_leader_cut_off_from_the_api_server_stops(cluster: Cluster, namespace: str, replicas: list[Process]) -> None:
    first, second = replicas
    cluster.signal("kube-apiserver", signal.SIGSTOP)
    try:
        code = first.popen.wait(120)
    finally:
        cluster.signal("kube-apiserver", signal.SIGCONT)
    assert code == ExitCode.LEADERSHIP_LOST
    second.wait_for("leading as")
