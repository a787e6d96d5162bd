"""Linux namespaces, mounts and process attributes: the system calls that Python 3.11 does not wrap.

Sources: unshare(2), setns(2), mount(2), umount2(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "INSIDE",
    "MS_BIND",
    "MS_PRIVATE",
    "MS_REC",
    "MS_SHARED",
    "NEWIPC",
    "NEWNET",
    "NEWNS",
    "NEWPID",
    "NEWUTS",
    "die_with_parent",
    "mount",
    "network",
    "setns",
    "start_time",
    "umount",
    "unshare",
]

NEWNS = 0x00020000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWPID = 0x20000000
NEWNET = 0x40000000
# What a process joins to live beside PID 1; its PID namespace it gets from the fork.
INSIDE = NEWNS | NEWUTS | NEWIPC | NEWNET

MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Leave these namespaces for new ones; for NEWPID the next child is the first in it."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Join the namespaces of a process (a pidfd, Linux 5.8) or one namespace (its file)."""
    _check(_libc.setns(descriptor, flags), "setns")


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    _check(
        _libc.mount(source.encode(), str(target).encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()),
        f"mount {target}",
    )


def umount(target: str | Path) -> None:
    """Take away a mount with everything below it, also while it is used."""
    _check(_libc.umount2(str(target).encode(), _MNT_DETACH), f"umount {target}")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that made it ends, however it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0), "prctl")


@contextmanager
def network(inside: int, home: int) -> Iterator[None]:
    """Make sockets of another network namespace: a socket stays where it was made.

    No await may happen in the body. A failed way back would leave the process in the wrong place, so it ends it.
    """
    setns(inside, NEWNET)
    try:
        yield
    finally:
        try:
            setns(home, NEWNET)
        except OSError:
            os._exit(70)


def start_time(pid: int) -> int:
    """When a process started, in clock ticks after boot: with the PID it names a process for ever. 0: there is none."""
    try:
        # The second field, the command in parentheses, may hold anything: count from its end.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0
