"""Find and end the processes that hold a cluster, whatever is left of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import kopf_sdk
from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.cgroups import find_hierarchies
from kopf_sdk.testing.cluster.namespaces import start_time
from kopf_sdk.testing.cluster.state import Layout, Size

__all__ = ["alive", "end", "holders", "remove", "spawn_keeper"]

_MODULE = "kopf_sdk.testing.cluster.keeper"


def spawn_keeper(layout: Layout, size: Size, owner: int | None = None) -> None:
    """Start the keeper as a daemon; its control socket answers when the namespaces stand.

    With an owner (a PID) it removes the cluster when that process has ended.
    """
    # The package may be on sys.path by other means than an installation.
    path = [str(Path(kopf_sdk.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (layout.logs / "keeper.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", _MODULE, str(layout.directory), size.value, *([str(owner)] if owner else [])],
            env=os.environ | {"PYTHONPATH": ":".join(path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
            check=True,
        )


def alive(pid: int, started: int) -> bool:
    """Whether this process, and not another one with its number, exists."""
    return pid > 0 and start_time(pid) == started != 0


def holders(layout: Layout) -> list[int]:
    """The keeper and PID 1 of a cluster, by their command line: it is there before any record of them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if arguments[1:4] == [b"-m", _MODULE.encode(), os.fsencode(layout.directory)]:
            found.append(int(entry.name))
    return found


def end(layout: Layout) -> None:
    """Kill everything that belongs to the cluster and remove its cgroups; returns when it is gone."""
    hierarchies = find_hierarchies()
    record = layout.keeper()
    if record and alive(record.init_pid, record.init_started):
        # All others die with PID 1, and a living keeper collects them and ends.
        _kill(record.init_pid)
        _wait_until_gone(layout, seconds=3)
    while left := holders(layout):
        for pid in left:
            _kill(pid)
        if not _wait_until_gone(layout, seconds=60):
            raise SdkError(
                f"processes that do not die: {', '.join(map(str, left))}",
                hint=f"see 'ps -o pid,stat,wchan,args -p {left[0]}', then run 'kopf-sdk cluster down' again",
            )
    hierarchies.kill(layout.cgroup)
    hierarchies.remove(layout.cgroup)


def remove(directory: str) -> None:
    """Remove the cluster with this state directory and every trace of it."""
    path = Path(directory)
    layout = Layout(path.name, path.parent)
    with layout.lock():
        end(layout)
        layout.remove()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wait_until_gone(layout: Layout, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while holders(layout):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
