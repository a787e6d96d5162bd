"""What is true of a cluster right now; looking changes nothing and needs no lock."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from kopf_sdk.testing.cluster.addresses import NODE_NAME
from kopf_sdk.testing.cluster.api import Api
from kopf_sdk.testing.cluster.components import COMPONENTS
from kopf_sdk.testing.cluster.control import KeeperGoneError, ask
from kopf_sdk.testing.cluster.state import Layout, Phase, Record, Size

__all__ = ["ComponentStatus", "Status", "api_of", "components", "look", "node_ready"]


@dataclass(frozen=True)
class ComponentStatus:
    """One process: running, stopped (by a signal), exited (with code), not started or gone (with the keeper)."""

    name: str
    state: str
    pid: int | None = None
    code: int | None = None
    starts: int = 0


@dataclass(frozen=True)
class Status:
    """All there is to know of a cluster.

    `state` is absent, starting, ready, degraded (something does not run or answer), failed (the last `up` did),
    incomplete (the last `up` was killed) or dead (its processes are gone, something of it is left).
    """

    name: str
    state: str
    size: Size | None = None
    reason: str = ""
    api: bool = False
    node: bool | None = None
    components: tuple[ComponentStatus, ...] = ()
    kubeconfig: Path | None = None


def look(layout: Layout) -> Status:
    """Ask every part of the cluster."""
    if not layout.directory.exists():
        return Status(layout.name, "absent")
    # Without a record `up` was killed before it wrote one.
    record = layout.record() or Record(layout.name, Size.CONTROL_PLANE, Phase.STARTING)
    try:
        parts = components(layout, record.size, timeout=15)
    except KeeperGoneError:
        gone = tuple(ComponentStatus(c.name, "gone") for c in COMPONENTS[record.size])
        state = "failed" if record.phase is Phase.FAILED else "starting" if layout.is_locked() else "dead"
        return Status(layout.name, state, record.size, record.reason, components=gone)
    api = api_of(layout)
    ready = api is not None and api.ok("/readyz", timeout=10)
    node = node_ready(api) if api and ready and record.size is Size.NODE else None
    healthy = ready and node is not False and all(part.state == "running" for part in parts)
    if record.phase is Phase.STARTING:
        state = "starting" if layout.is_locked() else "incomplete"
    else:
        state = "ready" if healthy else "degraded"
    return Status(layout.name, state, record.size, record.reason, ready, node, parts, layout.kubeconfig)


def components(layout: Layout, size: Size, *, timeout: float = 60) -> tuple[ComponentStatus, ...]:
    """What the keeper knows of every process (timeout in seconds).

    Raises
    ------
    KeeperGoneError
        There is no keeper, or it does not answer in time.
    """
    known = ask(layout, "status", timeout=timeout)
    return tuple(ComponentStatus(c.name, **known.get(c.name, {"state": "not started"})) for c in COMPONENTS[size])


def api_of(layout: Layout) -> Api | None:
    """A client for the API server; None while there is no port or no certificate."""
    keeper = layout.keeper()
    try:
        return Api(keeper.api_port, layout.pki) if keeper and keeper.api_port else None
    except FileNotFoundError:
        return None


def node_ready(api: Api) -> bool:
    """Whether pods are placed on the node: a taint stays for a moment after it became ready."""
    code, node = api.get(f"/api/v1/nodes/{NODE_NAME}")
    if code != HTTPStatus.OK:
        return False
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")
