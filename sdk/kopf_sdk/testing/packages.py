"""Programs of the host that the local cluster and the image builds need, and the packages that bring them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from kopf_sdk.errors import SdkError

__all__ = ["FEATURES", "Need", "docker_answers", "install", "missing", "require"]

# Where administrators' programs are; often not on the PATH of a user.
_SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CNI = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


@dataclass(frozen=True)
class Need:
    """Something that must be installed."""

    package: str
    """Name of the package in Debian and Ubuntu; others call it the same or nearly so."""
    programs: tuple[str, ...]
    """Any of them will do; an absolute path is looked up as it is."""
    docker: bool = False
    """Whether docker will do as well, where its daemon answers."""

    def met(self) -> bool:
        path = f"{os.environ.get('PATH', '')}:{_SEARCH}"
        return any(
            Path(name).is_file() if name.startswith("/") else shutil.which(name, path=path) for name in self.programs
        ) or (self.docker and docker_answers())


_CONTROL_PLANE = (Need("iproute2", ("ip",)),)
_NODE = (
    *_CONTROL_PLANE,
    Need("util-linux", ("nsenter",)),
    Need("mount", ("mount",)),
    Need("containerd", ("containerd",)),
    Need("containerd", ("ctr",)),
    Need("runc", ("runc",)),
    *(
        Need("containernetworking-plugins", tuple(f"{folder}/{plugin}" for folder in _CNI))
        for plugin in ("bridge", "host-local", "loopback", "portmap")
    ),
    Need("iptables", ("iptables",)),
    Need("nftables", ("nft", "iptables-legacy")),
    Need("conntrack", ("conntrack",)),
)
_IMAGES = (
    Need("apt", ("apt-get",)),
    Need("dpkg", ("dpkg-deb",)),
    Need("tar", ("tar",)),
    Need("debian-archive-keyring", ("/usr/share/keyrings/debian-archive-keyring.gpg",)),
    Need("buildah", ("podman", "buildah"), docker=True),
)
_TESTS = (
    Need("busybox-static", ("/bin/busybox",)),
    Need("dash", ("dash",)),
    Need("git", ("git",)),
    Need("gnupg", ("gpg",)),
)

FEATURES: dict[str, tuple[Need, ...]] = {
    "control-plane": _CONTROL_PLANE,
    "node": _NODE,
    "images": _IMAGES,
    "tests": _TESTS,
}
"""What a part of the SDK, or the tests in its repository, need on the host."""


def docker_answers() -> bool:
    """Tell whether docker is here with its daemon: many machines have nothing but the client."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def missing(features: Iterable[str]) -> list[str]:
    """Packages that these features need and that are not there, sorted."""
    return sorted({need.package for feature in features for need in FEATURES[feature] if not need.met()})


def require(*features: str) -> None:
    """Check, before anything is started.

    Raises
    ------
    SdkError
        Something is missing: all of it is listed, with the command that installs it.
    """
    if packages := missing(features):
        raise SdkError(
            f"programs are missing on this machine, from the packages: {', '.join(packages)}",
            hint=f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install --no-install-recommends {' '.join(packages)}",
        )


def install(console: Console, features: Iterable[str]) -> list[str]:
    """Install what is missing with apt-get; silent when nothing is.

    Returns
    -------
    list of str
        The packages that were installed.

    Raises
    ------
    SdkError
        Not root, no apt-get, or apt-get failed.
    """
    packages = missing(features)
    if not packages:
        return []
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        require(*features)
    console.print(f"installing {' '.join(packages)}")
    # RUNLEVEL=1 keeps packages from starting their services (containerd): the cluster runs its own.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C.UTF-8"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "--quiet=2", *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            raise SdkError(f"apt-get {arguments[0]} failed:\n{last}", hint="install the packages by hand and try again")
    require(*features)
    return packages
