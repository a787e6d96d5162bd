"""The shell scripts that start memcached and probe it (folder `pod`).

They are mounted from a ConfigMap instead of standing in the pod template, so that a better probe does not need a new
pod. They are the same for every resource: whatever a resource asks for, pods that had something else go on with them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["ARGUMENTS_FILE", "HANDOVER_FILE", "PROBE_FILE", "REHEARSAL_FILE", "START_FILE", "scripts"]

ARGUMENTS_FILE = "arguments-"
"""Followed by the digest of its content: one argument per line."""
HANDOVER_FILE = "handover-"
"""Followed by the name of a pod: what it says to the spare one that has its predecessor's items."""
START_FILE = "start.sh"
PROBE_FILE = "probe.sh"
REHEARSAL_FILE = "rehearse.sh"
_SHARED_FILE = "pod.sh"


@cache
def _read(name: str) -> str:
    return files("memcached_operator").joinpath("pod", name).read_text()


def scripts() -> dict[str, str]:
    """Return the scripts by the names that they have in a pod."""
    return {name: _read(name) for name in (_SHARED_FILE, START_FILE, PROBE_FILE, REHEARSAL_FILE)}
