"""A leader that goes: how long until its standby does the work."""

from __future__ import annotations

import signal
import time
from typing import Any

from bench.arena import Arena, until
from bench.care import Seen
from bench.load import create, delete_all
from bench.server import MERGE_PATCH
from bench.sides import Side

__all__ = ["failover"]


def failover(arena: Arena, side: Side, number: signal.Signals, name: str) -> dict[str, Any]:
    """End the leader with a signal, spoil a child at once; return the seconds until the standby has repaired it."""
    ground = arena.ground(name, side)
    namespace, resource = ground.address(0)
    log = arena.folder / f"{name}.log"
    leader = side.start(arena.kubeconfig, log, arena.port(), "--leader-elect")
    leader.wait_ready()
    kind, child, patch, whole = side.drift
    seen = Seen()
    replicas = [leader]
    try:
        with arena.server.watching(kind.path(), seen):
            create(arena, side, [(namespace, resource)])
            # The lease of an earlier leader may have to run out first.
            whereabouts = kind.path(namespace, child(resource))
            until(lambda: arena.server.ask("GET", whereabouts)[0] == 200, 120, "the leader works")
            arena.settle(leader.pid, seconds=30)
            standby = side.start(arena.kubeconfig, log, arena.port(), "--leader-elect")
            replicas.append(standby)
            standby.wait_ready()
            time.sleep(3)  # it has seen the lease
            seen.expect(child(resource), whole)
            started = time.monotonic()
            leader.popen.send_signal(number)
            # From here on it takes no more work: the repair is the standby's.
            until(lambda: not leader.is_ready(), 60, "the leader stops", 0.01)
            arena.server.request("PATCH", whereabouts, patch, MERGE_PATCH)
            took = seen.wait(started, child(resource))
        delete_all(arena, side, standby, ground)
        standby.end()
    finally:
        for replica in replicas:
            replica.end(signal.SIGKILL)
    return {"seconds": took}
