"""What the machine must offer, checked before anything is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.cgroups import find_hierarchies
from kopf_sdk.testing.cluster.state import Size
from kopf_sdk.testing.packages import require

__all__ = ["SEARCH_PATH", "check_machine", "cni_plugins", "proxy_mode", "snapshotter"]

_PLUGIN_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"), Path("/usr/libexec/cni"))
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check_machine(size: Size) -> None:
    """Raise an SdkError for the first thing that is missing, with the way to get it."""
    if sys.platform != "linux":
        raise SdkError(
            f"the cluster needs Linux, this is {sys.platform}",
            hint="run it in a Linux virtual machine, or use an existing cluster with CLUSTER=current",
        )
    if os.geteuid() != 0:
        raise SdkError(
            "the cluster needs root: it makes namespaces, mounts and cgroups",
            hint="sudo -E env PATH=$PATH kopf-sdk cluster up, or use an existing cluster with CLUSTER=current",
        )
    require(size.value)
    if size is Size.NODE and not find_hierarchies().all:
        raise SdkError(
            "pods need cgroups, and /sys/fs/cgroup is not writable here",
            hint="a container needs --privileged for it; a virtual machine always works; or CLUSTER=current",
        )
    if refused := _unshare_refused():
        raise SdkError(
            f"this machine does not allow new namespaces ({refused})",
            hint="a container needs --privileged for it; a virtual machine always works; or CLUSTER=current",
        )


def _unshare_refused() -> str:
    """Try the namespaces of a cluster; what the machine says when it does not allow them."""
    command = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SdkError(
            "the program unshare is missing on this machine, from the package util-linux",
            hint="apt-get install --no-install-recommends util-linux",
        ) from error
    return done.stderr.strip() or f"unshare ended with code {done.returncode}" if done.returncode else ""


def cni_plugins() -> Path:
    """Where the CNI plugins are installed."""
    found = [directory for directory in _PLUGIN_DIRECTORIES if (directory / "bridge").is_file()]
    assert found  # checked before
    return found[0]


def proxy_mode() -> str:
    """How kube-proxy makes Services: nftables where the program and the kernel (5.13) have it."""
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    return "nftables" if (major, minor) >= (5, 13) and shutil.which("nft", path=SEARCH_PATH) else "iptables"


def snapshotter(directory: Path, mountinfo: str | None = None) -> str:
    """How containerd stacks image layers below this directory: overlays, or copies where overlays cannot be nested.

    The directory lies on an overlay itself when the machine is a container. Format: proc_pid_mountinfo(5).
    """
    best, kind = "", ""
    for line in (mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()).splitlines():
        fields = line.split()
        target = fields[4]
        if directory.is_relative_to(target) and len(target) >= len(best):
            best, kind = target, fields[fields.index("-") + 1]
    return "native" if kind == "overlay" else "overlayfs"
