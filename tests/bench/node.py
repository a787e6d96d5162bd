"""From `apply` to the first answer of a memcached: a node with real pods, both operators beside the API server."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.arena import Arena, arena
from bench.load import delete_all
from bench.sides import Side
from demo_images import build_images
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import Kind
from kopf_sdk.testing.cluster import Size
from kopf_sdk.testing.cluster.progress import SILENT

__all__ = ["first_answer"]

POD = Kind("v1", "Pod")
RUNS = 3
PATIENCE = 120.0


def first_answer(name: str, folder: Path, sides: Mapping[str, Side]) -> dict[str, Any]:
    """Return, per side, the median of the seconds from creating a resource until a pod answers `get`."""
    images = build_images(SILENT)
    took: dict[str, list[float]] = {"ours": [], "tuned": []}
    with arena(name, folder, sides.values(), size=Size.NODE, archives=images.archives) as place:
        for number in range(RUNS):
            for side in (sides["ours"], sides["tuned"]):
                took[side.name].append(_once(place, side, images.memcached, f"{side.name}-{number}"))
    return {name: {"runs": seconds, "seconds": statistics.median(seconds)} for name, seconds in took.items()}


def _once(arena: Arena, side: Side, image: str, name: str) -> float:
    ground = arena.ground(name, side)
    namespace, resource = ground.address(0)
    images = {"MEMCACHED_IMAGE": image, "RELATED_IMAGE_MEMCACHED": image}
    operator = side.start(arena.kubeconfig, arena.folder / f"{name}.log", arena.port(), environment=images)
    try:
        operator.wait_ready()
        arena.settle(operator.pid, seconds=20)
        started = time.monotonic()
        arena.server.request("POST", side.kind.path(namespace), side.resource(resource))
        while not _answers(arena, namespace):
            if time.monotonic() - started > PATIENCE:
                raise SdkError(f"{side.name}: no pod answers:\n{operator.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)
        took = time.monotonic() - started
        delete_all(arena, side, operator, ground)
    finally:
        operator.end()
    return took


def _answers(arena: Arena, namespace: str) -> bool:
    """Whether a pod of the namespace answers `get`."""
    for pod in arena.server.request("GET", POD.path(namespace))["items"]:
        if address := pod.get("status", {}).get("podIP"):
            try:
                with socket.create_connection((address, 11211), timeout=0.5) as connection:
                    connection.sendall(b"get nothing\r\n")
                    return connection.recv(64) == b"END\r\n"
            except OSError:
                return False
    return False
