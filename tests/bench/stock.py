"""The same load where the control plane's own controllers have the request limits that Kubernetes gives them.

Elsewhere they may send 500 requests a second, so that what follows from a resource (pods, endpoints) is done as soon as
it can be, and its cost is part of every figure. By default they may send 20 each, and most of it comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.arena import Arena
from bench.load import PATIENCE, make
from bench.sides import Side

__all__ = ["FLAGS", "stock"]

FLAGS = ("--kube-api-qps=20", "--kube-api-burst=30")
"""The defaults: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/"""


def stock(arena: Arena, sides: Sequence[Side], resources: int, rounds: int) -> dict[str, Any]:
    """Have every side make N resources, in turns."""
    return {
        "resources": resources,
        "runs": [_run(arena, side, resources, number) for number in range(rounds) for side in sides],
    }


def _run(arena: Arena, side: Side, resources: int, number: int) -> dict[str, Any]:
    name = f"stock-{side.name}-{number}"
    ground = arena.ground(name, side, resources)
    arena.restart_controllers(*FLAGS)
    operator = side.start(arena.kubeconfig, arena.folder / f"{name}.log", arena.port())
    try:
        operator.wait_ready()
        arena.settle(operator.pid, seconds=20)
        cpu, parts = operator.cpu(), sum(arena.component_cpu().values())
        try:
            made = make(arena, side, operator, resources, ground)
            used = operator.cpu() - cpu
            spent = sum(arena.component_cpu().values()) - parts
        finally:
            # Without the limits again: what waits behind them, and the deletion, would take many minutes.
            arena.restart_controllers()
        arena.clear(ground, PATIENCE)
    finally:
        operator.end()
    return {
        "side": side.name,
        "round": number,
        **made,
        "cpu_seconds_per_1000": used * 1000 / resources,
        "control_plane_cpu_per_1000": spent * 1000 / resources,
    }
