"""Start the parts of a cluster in their order, and wait until they work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import images, processes
from kopf_sdk.testing.cluster.addresses import NODE_IP, NODE_NAME, SERVICE_IP
from kopf_sdk.testing.cluster.checks import SEARCH_PATH, snapshotter
from kopf_sdk.testing.cluster.components import COMPONENTS, command
from kopf_sdk.testing.cluster.configs import PAUSE_IMAGE, write_configs
from kopf_sdk.testing.cluster.control import KeeperGoneError, ask
from kopf_sdk.testing.cluster.pki import write_kubeconfig, write_pki
from kopf_sdk.testing.cluster.progress import Progress
from kopf_sdk.testing.cluster.readiness import (
    PATIENCE,
    POLL,
    living_keeper,
    tail,
    until,
    wait_api,
    wait_controllers,
    wait_node,
)
from kopf_sdk.testing.cluster.state import Layout, Size
from kopf_sdk.testing.images import base_image

__all__ = ["start"]

_CONTAINERD = Path("/run/containerd/containerd.sock")


def start(layout: Layout, size: Size, programs: Mapping[str, Path], progress: Progress, owner: int | None) -> None:
    """Start everything, in a state directory that has nothing but its record; returns when it is ready.

    Raises
    ------
    SdkError
        A part does not start; what was started is left to the caller.
    """
    with progress.step("namespaces, certificates, network"):
        processes.spawn_keeper(layout, size, owner)
        # While the keeper makes the namespaces:
        write_pki(layout.pki, node_name=NODE_NAME, node_ip=NODE_IP, service_ip=SERVICE_IP)
        write_configs(layout, size)
        _wait_keeper(layout)
        port = living_keeper(layout).api_port
        server = f"https://127.0.0.1:{port}"
        write_kubeconfig(layout.kubeconfig, layout.pki, user="admin", server=server, context=layout.context)
    for part in COMPONENTS[size]:
        if not part.needs_api:
            _launch(layout, part.name, programs, size)
    wait_api(layout, progress)
    for part in COMPONENTS[size]:
        if part.needs_api:
            _launch(layout, part.name, programs, size)
    if size is Size.NODE:
        with progress.step("pause image imported"):
            _import_pause(layout)
    wait_controllers(layout, progress)
    if size is Size.NODE:
        wait_node(layout, progress)


def _launch(layout: Layout, name: str, programs: Mapping[str, Path], size: Size) -> None:
    ask(
        layout,
        "start",
        name=name,
        argv=command(name, programs[name], size),
        env={"PATH": SEARCH_PATH, "HOME": "/run", "LANG": "C.UTF-8"},
        log=str(layout.logs / f"{name}.log"),
    )


def _import_pause(layout: Layout) -> None:
    archive = base_image("pause")
    init = living_keeper(layout).init_pid
    until(layout, "containerd answers", Path(f"/proc/{init}/root{_CONTAINERD}").exists)
    for name in images.import_image(init, archive, snapshotter(layout.directory)):
        if name != PAUSE_IMAGE:
            images.tag_image(init, name, PAUSE_IMAGE)


def _wait_keeper(layout: Layout) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ask(layout, "status")
        except KeeperGoneError:
            if not processes.holders(layout) or time.monotonic() > deadline:
                log = layout.logs / "keeper.log"
                raise SdkError(f"the cluster's namespaces could not be made: {tail(log, 3)}") from None
            time.sleep(POLL / 2)
        else:
            return
