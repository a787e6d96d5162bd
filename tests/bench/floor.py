"""What the control plane alone takes: our children, made by the load's client, with no operator at all.

Whatever an operator does comes on top. The figure tells how much of the time is the API server's and its controllers'.
"""

from __future__ import annotations

import concurrent.futures
import json
import time
from collections.abc import Sequence
from typing import Any

from bench.arena import Arena
from bench.load import PATIENCE, create, delete_all
from bench.server import Manifest
from bench.sides import WORKERS, Side
from kopf_sdk.runtime import Kind

__all__ = ["floor"]

MODEL = "model-0"


def floor(arena: Arena, side: Side, resources: int, name: str) -> dict[str, Any]:
    """Make the children of N resources as plain objects, with as many requests at a time as operators have workers."""
    ground = arena.ground(name, side, resources)
    operator = side.start(arena.kubeconfig, arena.folder / f"{name}.log", arena.port())
    try:
        operator.wait_ready()
        create(arena, side, [(ground.namespaces[0], MODEL)])
        arena.settle(operator.pid, seconds=60)
        children = _children(arena, side, ground.namespaces[0])
        delete_all(arena, side, operator, ground)
    finally:
        operator.end()
    arena.settle()
    before = sum(arena.component_cpu().values())
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda address: _make(arena, children, *address), ground.addresses(resources, "floor")))
    took = time.monotonic() - started
    arena.settle()
    spent = sum(arena.component_cpu().values()) - before
    arena.clear(ground, PATIENCE)
    return {
        "resources": resources,
        "children_per_resource": len(children),
        "resources_per_second": resources / took,
        "objects_per_second": resources * len(children) / took,
        "control_plane_cpu_per_1000": spent * 1000 / resources,
    }


def _children(arena: Arena, side: Side, namespace: str) -> list[tuple[Kind, str]]:
    """Return each child of the model: its kind, and its JSON."""
    found = []
    for kind in side.owns:
        if not kind.optional:
            for item in arena.server.request("GET", kind.path(namespace))["items"]:
                if item["metadata"].get("ownerReferences"):
                    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, **_bare(item)}
                    found.append((kind, json.dumps(manifest)))
    return found


def _bare(item: Manifest) -> Manifest:
    """Return an object as it may be created: without what the server gave it."""
    metadata = {key: item["metadata"][key] for key in ("name", "labels", "annotations") if key in item["metadata"]}
    bare = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    if item.get("spec", {}).get("clusterIP", "None") != "None":
        bare["spec"] = {key: value for key, value in item["spec"].items() if not key.startswith("clusterIP")}
    return {**bare, "metadata": metadata}


def _make(arena: Arena, children: Sequence[tuple[Kind, str]], namespace: str, name: str) -> None:
    for kind, text in children:
        arena.server.request("POST", kind.path(namespace), json.loads(text.replace(MODEL, name)))
