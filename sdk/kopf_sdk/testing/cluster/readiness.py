"""Wait until the parts of a cluster work, or say why they will not."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import processes
from kopf_sdk.testing.cluster.addresses import DNS_IP
from kopf_sdk.testing.cluster.api import Api
from kopf_sdk.testing.cluster.control import ask
from kopf_sdk.testing.cluster.logs import last_lines
from kopf_sdk.testing.cluster.progress import Progress
from kopf_sdk.testing.cluster.state import KeeperRecord, Layout, Size
from kopf_sdk.testing.cluster.status import api_of, node_ready

__all__ = [
    "PATIENCE",
    "POLL",
    "living_keeper",
    "reach",
    "tail",
    "until",
    "wait_api",
    "wait_controllers",
    "wait_node",
    "wait_ready",
]

# Seconds between two looks.
POLL = 0.05
# Seconds; generous: on two busy cores everything takes several times as long.
PATIENCE = 180.0


def wait_ready(layout: Layout, size: Size, progress: Progress) -> None:
    """Wait until every part does its work."""
    wait_api(layout, progress)
    wait_controllers(layout, progress)
    if size is Size.NODE:
        wait_node(layout, progress)


def wait_api(layout: Layout, progress: Progress) -> None:
    """Wait until the API server is ready."""
    api = reach(layout)
    with progress.step("API server ready"):
        until(layout, "the API server is ready", lambda: api.ok("/readyz"), needs=("etcd", "kube-apiserver"))


def until(
    layout: Layout,
    what: str,
    condition: Callable[[], bool],
    *,
    needs: Container[str] | None = None,
    poll: float = POLL,
) -> None:
    """Wait for a condition as long as the components that it needs live (all that were started, when left out).

    Raises
    ------
    SdkError
        One of them ended, with the last lines of its log; or it takes longer than anybody should wait.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        for name, state in ask(layout, "status").items():
            if state["state"] == "exited" and (needs is None or name in needs):
                raise SdkError(
                    f"{name} ended with code {state['code']}: {tail(layout.logs / f'{name}.log', 5)}",
                    hint=f"kopf-sdk cluster logs {name} --name {layout.name}",
                )
        if time.monotonic() > deadline:
            raise SdkError(
                f"waited {PATIENCE:.0f} s in vain until {what}", hint=f"kopf-sdk cluster logs --name {layout.name}"
            )
        time.sleep(poll)


def living_keeper(layout: Layout) -> KeeperRecord:
    """The record of the keeper, whose PID 1 is alive; an SdkError when it is not."""
    record = layout.keeper()
    if record is None or not processes.alive(record.init_pid, record.init_started):
        raise SdkError(f"the cluster '{layout.name}' is not up", hint=f"kopf-sdk cluster up --name {layout.name}")
    return record


def reach(layout: Layout) -> Api:
    """A client for the API server; an SdkError when the cluster is not up."""
    api = api_of(layout)
    if api is None:
        raise SdkError(f"the cluster '{layout.name}' is not up", hint=f"kopf-sdk cluster up --name {layout.name}")
    return api


def wait_controllers(layout: Layout, progress: Progress) -> None:
    """Wait until the controller manager does its work."""
    api = reach(layout)
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    with progress.step("controllers run"):
        until(layout, "the controller manager works", lambda: api.ok(account))


def wait_node(layout: Layout, progress: Progress) -> None:
    """Wait until the node takes pods and names resolve."""
    api = reach(layout)
    with progress.step("node Ready"):
        until(layout, "the node is Ready", lambda: node_ready(api))
    with progress.step("cluster DNS answers"):
        # CoreDNS listens once it has read all Services.
        until(layout, "CoreDNS listens", lambda: bool(ask(layout, "listens", address=DNS_IP, port=53)))


def tail(log: Path, lines: int) -> str:
    """The end of a log, for an error message."""
    return "\n".join(last_lines(log, lines)) if log.exists() else f"(no {log})"
