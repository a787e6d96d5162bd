"""The programs themselves: how fast they start, what they weigh."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.arena import Arena
from bench.peer import Peer
from bench.sides import Side
from demo_images import build_images
from kopf_sdk.testing.cluster.progress import SILENT
from kopf_sdk.testing.images.weigh import weigh

__all__ = ["start_up", "weights"]

RUNS = 3


def start_up(arena: Arena, sides: Mapping[str, Side]) -> dict[str, Any]:
    """Start operators that have nothing to look after; return the best of a few runs."""
    figures: dict[str, Any] = {"import_seconds": min(_import(sides["ours"]) for _ in range(RUNS))}
    for name in ("ours", "tuned"):
        runs = []
        for _ in range(RUNS):
            operator = sides[name].start(arena.kubeconfig, arena.folder / f"start-{name}.log", arena.port())
            try:
                ready = operator.wait_ready()
                arena.settle(operator.pid, seconds=10)
                runs.append({"ready_seconds": ready, "cpu": operator.cpu(), "rss_mb": operator.rss()})
            finally:
                operator.end()
        figures[name] = {key: min(run[key] for run in runs) for key in runs[0]}
    return figures


def _import(side: Side) -> float:
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "import memcached_operator.__main__"],
        env={**os.environ, **side.environment},
        check=True,
    )
    return time.monotonic() - started


def weights(peer: Peer) -> dict[str, float]:
    """Return megabytes (10⁶ bytes, uncompressed) of our image, and of the peer's program, nearly all of its."""
    archive = next(path for path in build_images(SILENT).archives if "operator" in path.name)
    return {"ours_image_mb": weigh(archive)[0] / 1e6, "peer_binary_mb": _size(peer.shipped) / 1e6}


def _size(path: Path) -> int:
    return path.stat().st_size
