"""PID 1 of a cluster: makes its mounts and its network, then does nothing but collect orphans.

Its death is the end of the cluster: the kernel kills every process of the PID namespace and drops the mounts and
interfaces with the namespaces. Nothing is mounted or configured outside of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from kopf_sdk.testing.cluster.addresses import NODE_IP, NODE_NAME, STATE
from kopf_sdk.testing.cluster.namespaces import (
    INSIDE,
    MS_BIND,
    MS_PRIVATE,
    MS_REC,
    MS_SHARED,
    die_with_parent,
    mount,
    umount,
    unshare,
)
from kopf_sdk.testing.cluster.state import Size
from kopf_sdk.testing.cluster.sysctls import shield

__all__ = ["run"]


def run(size: Size, state_directory: Path, parent_alive: int, ready: int) -> None:
    """Become PID 1 (called in a fresh child, never returns).

    Parameters
    ----------
    parent_alive
        Read end of a pipe: one byte says go, its end says that the parent died before it could be watched.
    ready
        Write end of a pipe: one byte says that mounts and network stand; an error message otherwise.
    """
    die_with_parent()
    if not os.read(parent_alive, 1):
        os._exit(1)
    # From here on the end of the parent kills this process.
    os.setsid()
    try:
        unshare(INSIDE)
        socket.sethostname(NODE_NAME)
        _mounts(size, state_directory)
        _network(size)
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or ""
        os.write(ready, f"{error} {detail}".strip().encode())
        os._exit(1)
    os.write(ready, b"\0")
    os.closerange(3, 1024)
    _collect_orphans()


def _mounts(size: Size, state_directory: Path) -> None:
    state = os.open(state_directory, os.O_PATH)
    mount("", "/", flags=MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc")
    mount("tmpfs", "/run", "tmpfs", options="mode=755")
    STATE.mkdir()
    mount(f"/proc/self/fd/{state}", STATE, flags=MS_BIND)
    os.close(state)
    Path("/run/lock").mkdir()
    _fresh_sysfs()
    if size is Size.NODE:
        _node_mounts()
    # Last: while / is shared, taking away a temporary mount would take away the original too. The kubelet and
    # containerd hand mounts to each other and to pods through it.
    mount("", "/", flags=MS_REC | MS_SHARED)


def _fresh_sysfs() -> None:
    """Show this network namespace's interfaces in /sys, and keep the cgroups of the host below it."""
    cgroups = Path("/run/cgroup")
    cgroups.mkdir()
    mount("/sys/fs/cgroup", cgroups, flags=MS_BIND | MS_REC)
    umount("/sys")
    mount("sysfs", "/sys", "sysfs")
    mount(str(cgroups), "/sys/fs/cgroup", flags=MS_BIND | MS_REC)
    umount(cgroups)
    cgroups.rmdir()


def _node_mounts() -> None:
    """Catch what kubelet and containerd write to fixed places, so that nothing of it reaches the host."""
    shield(Path("/run/sysctls"))
    for name in ("upper", "work"):
        Path(f"/run/varlib/{name}").mkdir(parents=True)
    mount(
        "overlay",
        "/var/lib",
        "overlay",
        options="lowerdir=/var/lib,upperdir=/run/varlib/upper,workdir=/run/varlib/work",
    )
    mount("tmpfs", "/var/log", "tmpfs", options="mode=755")
    for place, target in (("logs/pods", "/var/log/pods"), ("kubelet", "/var/lib/kubelet"), ("cni", "/var/lib/cni")):
        source = STATE / place
        source.mkdir(parents=True, exist_ok=True)
        Path(target).mkdir(parents=True, exist_ok=True)
        mount(str(source), target, flags=MS_BIND)


def _network(size: Size) -> None:
    # A veth pair with both ends in here stands for the node's interface (not every kernel has dummy interfaces). The
    # default route gives ClusterIPs a way out before they are translated.
    commands = f"""
link set lo up
link add node0 type veth peer name node0p
addr add {NODE_IP}/24 dev node0
link set node0 up
link set node0p up
route add default dev node0 src {NODE_IP}
"""
    subprocess.run(["ip", "-batch", "-"], input=commands, text=True, check=True, capture_output=True)
    if size is Size.NODE and shutil.which("modprobe") and not Path("/proc/sys/net/bridge").exists():
        # Without it a pod's answer to its neighbour on the bridge does not come from the Service's address.
        subprocess.run(["modprobe", "--quiet", "br_netfilter"], check=False)
    for setting in ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/bridge/bridge-nf-call-iptables"):
        file = Path("/proc/sys") / setting
        if file.exists():
            file.write_text("1\n")


def _collect_orphans() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})
