"""Fixtures: a real control plane, a real node, each with a fresh namespace per test.

The clusters are made when the first test asks for them and are gone after the last one, also when the run is
interrupted or killed: they end with the process of pytest. Their names contain its PID, so runs side by side do not
share them, and a developer's own clusters are never touched.

KOPF_SDK_KEEP_CLUSTER=1 leaves them up between runs (`kopf-sdk cluster list` shows them, `cluster down` removes them);
any other word does so with clusters of that word's own, for several checkouts side by side.

Nothing is imported before a fixture is used: the plugin costs nothing where it is only installed.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from kopf_sdk.testing.cluster import Cluster, Size

__all__ = ["control_plane", "namespace", "node_cluster", "node_namespace"]


@pytest.fixture(scope="session")
def control_plane() -> Iterator[Cluster]:
    """A cluster without nodes: API server, etcd and the controllers. Pods are made and stay Pending."""
    from kopf_sdk.testing.cluster import Size  # noqa: PLC0415 (see above)

    yield from _session_cluster("control-plane", Size.CONTROL_PLANE)


@pytest.fixture(scope="session")
def node_cluster() -> Iterator[Cluster]:
    """A cluster with one node that runs real pods."""
    from kopf_sdk.testing.cluster import Size  # noqa: PLC0415 (see above)

    yield from _session_cluster("node", Size.NODE)


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """Name of a new namespace in `control_plane`; deleted after the test, which does not wait for it."""
    yield from _fresh_namespace(control_plane)


@pytest.fixture
def node_namespace(node_cluster: Cluster) -> Iterator[str]:
    """Name of a new namespace in `node_cluster`; deleted after the test, which does not wait for it."""
    yield from _fresh_namespace(node_cluster)


def _session_cluster(kind: str, size: Size) -> Iterator[Cluster]:
    from kopf_sdk.testing.cluster import Cluster  # noqa: PLC0415 (see above)

    if (keep := os.environ.get("KOPF_SDK_KEEP_CLUSTER", "0")) not in ("", "0"):
        cluster = Cluster(f"pytest-{kind}" if keep == "1" else f"pytest-{kind}-{keep}")
        cluster.up(size)
        yield cluster
        return
    # A terminated run is one that was interrupted: fixtures are taken down in order.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    _remove_orphans()
    cluster = Cluster(f"pytest-{kind}-{os.getpid()}")
    try:
        cluster.up(size, owner=os.getpid())
        yield cluster
    finally:
        cluster.down()


def _remove_orphans() -> None:
    """A run that was killed while it started its cluster may have left a directory."""
    from kopf_sdk.testing.cluster import Cluster  # noqa: PLC0415 (see above)
    from kopf_sdk.testing.cluster.state import names  # noqa: PLC0415 (see above)

    for name in names():
        owner = name.rpartition("-")[2]
        if name.startswith("pytest-") and owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            Cluster(name).down()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _fresh_namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    cluster.create_namespace(name)
    yield name
    cluster.api.delete(f"/api/v1/namespaces/{name}")
