"""What a cluster has left on the machine: the proof that `down` leaves nothing.

It looks at the machine itself, not at what `up` or `down` believe: every process's namespaces, cgroups and command
line, the mounts, the cgroup directories, the interfaces, the settings of the kernel, the places components write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kopf_sdk.testing.cluster.cgroups import find_hierarchies
from kopf_sdk.testing.cluster.state import Layout
from kopf_sdk.testing.cluster.sysctls import KUBELET_SETTINGS

__all__ = ["Traces"]

# Where kubelet, containerd and CNI plugins write when nothing stops them.
_PLACES = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/run/containerd",
    "/run/kopf-sdk",
    "/opt/containerd",
    "/usr/libexec/kubernetes",
)


class Traces:
    """Made before a cluster is started: what was there already is nobody's trace."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._namespaces: set[str] = set()
        self._before = set(self._of_machine())

    def remember(self) -> None:
        """Note the namespaces of the running cluster, to find whatever holds them later."""
        record = self._layout.keeper()
        assert record is not None
        own = _namespaces(Path("/proc/self"))
        self._namespaces |= _namespaces(Path(f"/proc/{record.init_pid}")) - own

    def left(self) -> list[str]:
        """A line for everything that is there now of the cluster, sorted."""
        found = {*self._of_cluster(), *(set(self._of_machine()) - self._before)}
        return sorted(found)

    def _of_cluster(self) -> Iterator[str]:
        directory, cgroup = str(self._layout.directory), self._layout.cgroup
        if self._layout.directory.exists():
            yield f"directory {directory}"
        if self._layout.lock_file.exists():
            yield f"file {self._layout.lock_file}"
        for hierarchy in find_hierarchies().all:
            if (hierarchy / cgroup).exists():
                yield f"cgroup {hierarchy / cgroup}"
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                groups = (entry / "cgroup").read_text()
                held = self._held(entry)
            except OSError:  # ended meanwhile
                continue
            if directory in command or cgroup in groups or held:
                yield f"process {entry.name} {command} {' '.join(sorted(held))}".rstrip()

    def _held(self, process: Path) -> set[str]:
        """The cluster's namespaces that a process is in.

        Their numbers are given to others once they are gone, so the mounts have to be the cluster's too.
        """
        held = _namespaces(process) & self._namespaces
        return held if held and str(self._layout.directory) in (process / "mountinfo").read_text() else set()

    def _of_machine(self) -> Iterator[str]:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if any(word in line for word in (str(self._layout.root), "kopf-sdk", "kubelet", "nsfs", " /run/netns")):
                yield f"mount {line.split()[4]}"
        for place in _PLACES:
            if Path(place).exists():
                yield f"directory {place}"
        for interface in Path("/sys/class/net").iterdir():
            yield f"interface {interface.name}"
        for setting in KUBELET_SETTINGS:
            yield f"setting {setting} = {(Path('/proc/sys') / setting).read_text().strip()}"


def _namespaces(process: Path) -> set[str]:
    return {str(namespace.readlink()) for namespace in (process / "ns").iterdir()}
