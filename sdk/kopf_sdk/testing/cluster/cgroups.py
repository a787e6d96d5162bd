"""One cgroup subtree per cluster, in every hierarchy that the machine has (v1, v2 or both).

Layout: `<hierarchy>/<name>/system` holds the components, the kubelet puts pods in `<hierarchy>/<name>/kubepods`. All
processes of a cluster are somewhere below `<name>`, so a cluster can be found and killed without any record of it.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError

__all__ = ["Hierarchies", "find_hierarchies"]


@dataclass(frozen=True)
class Hierarchies:
    """The mounted cgroup hierarchies: one directory per v1 controller, and the unified one."""

    v1: tuple[Path, ...] = ()
    v2: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        return (*self.v1, self.v2) if self.v2 else self.v1

    def create(self, name: str) -> None:
        """Make the subtree with its `system` leaf.

        Raises
        ------
        SdkError
            The hierarchy is read-only or lacks a controller, as in a container without privileges.
        """
        try:
            for hierarchy in self.v1:
                for path in (hierarchy / name, hierarchy / name / "system"):
                    path.mkdir(exist_ok=True)
                    _seed_cpuset(path)
            if self.v2:
                self._create_v2(self.v2, name)
        except OSError as error:
            # Second version: a cgroup with processes hands no controllers on, and a container sees its own as the top.
            own = error.errno == errno.EBUSY
            raise SdkError(
                f"cannot make a cgroup for the cluster: {error}",
                hint="a container needs --privileged --cgroupns=host for it; a virtual machine always works"
                if own
                else "the cluster needs a writable cgroup hierarchy: a virtual machine or a privileged container",
            ) from error

    def _create_v2(self, root: Path, name: str) -> None:
        (root / name).mkdir(exist_ok=True)
        if not self.v1:  # otherwise the controllers live in v1 and the unified hierarchy only tracks processes
            controllers = " ".join(f"+{c}" for c in (root / "cgroup.controllers").read_text().split())
            for path in (root, root / name):
                (path / "cgroup.subtree_control").write_text(controllers)
        (root / name / "system").mkdir(exist_ok=True)

    def join(self, name: str) -> None:
        """Move this process, and with it its future children, into the `system` leaf."""
        for hierarchy in self.all:
            (hierarchy / name / "system/cgroup.procs").write_text(str(os.getpid()))

    def leave(self) -> None:
        """Move this process to the top of every hierarchy."""
        for hierarchy in self.all:
            (hierarchy / "cgroup.procs").write_text(str(os.getpid()))

    def exists(self, name: str) -> bool:
        return any((hierarchy / name).is_dir() for hierarchy in self.all)

    def processes(self, name: str) -> set[int]:
        """Every process in the subtree of any hierarchy, as PIDs of this PID namespace."""
        found: set[int] = set()
        for hierarchy in self.all:
            for directory in _subtree(hierarchy / name):
                try:
                    found.update(map(int, (directory / "cgroup.procs").read_text().split()))
                except OSError:  # removed meanwhile
                    continue
        found.discard(0)  # a process of another PID namespace
        return found

    def kill(self, name: str, *, timeout: float = 60.0) -> None:
        """Kill everything in the subtree, and wait until it is gone (seconds)."""
        deadline = time.monotonic() + timeout
        while pids := self.processes(name):
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > deadline:
                raise SdkError(
                    f"processes that do not die: {', '.join(map(str, sorted(pids)))}",
                    hint="see 'ps -o pid,stat,wchan,args -p PID'; then run 'kopf-sdk cluster down' again",
                )
            time.sleep(0.01)

    def remove(self, name: str, *, timeout: float = 60.0) -> None:
        """Remove the subtree; the kernel may hold a cgroup for a moment after its last process (seconds)."""
        deadline = time.monotonic() + timeout
        while True:
            busy = [d for h in self.all for d in _subtree(h / name) if not _removed(d)]
            if not busy:
                return
            if time.monotonic() > deadline:
                raise SdkError(f"cannot remove the cgroup {busy[-1]}: it is still in use")
            time.sleep(0.02)


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _subtree(top: Path) -> Iterator[Path]:
    """The directories below, deepest first."""
    for directory, _, _ in os.walk(top, topdown=False):
        yield Path(directory)


def _seed_cpuset(path: Path) -> None:
    """A new v1 cpuset is empty and takes no process: give it what its parent has."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (path / file).exists() and not (path / file).read_text().strip():
            (path / file).write_text((path.parent / file).read_text())


def find_hierarchies(mounts: str | None = None) -> Hierarchies:
    """The writable hierarchies below /sys/fs/cgroup, from /proc/self/mounts (or from the text given).

    What is read-only, as in many containers, is left out: a control plane does without.
    """
    v1: list[Path] = []
    v2: Path | None = None
    for line in (mounts if mounts is not None else Path("/proc/self/mounts").read_text()).splitlines():
        _, target, kind = line.split()[:3]
        if not target.startswith("/sys/fs/cgroup") or (mounts is None and not os.access(target, os.W_OK)):
            continue
        if kind == "cgroup":
            v1.append(Path(target))
        elif kind == "cgroup2":
            v2 = Path(target)
    return Hierarchies(tuple(v1), v2)
