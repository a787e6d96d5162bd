"""What is kept between runs: a folder per user, and locks so that two commands do not make the same thing at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_directory", "locked"]


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/kopf-sdk`, by default `~/.cache/kopf-sdk`; shared by all checkouts of a user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kopf-sdk"


@contextmanager
def locked(path: Path, waiting: Callable[[str], None], *, enough: Callable[[], bool]) -> Iterator[int | None]:
    """Hold a lock that only one process has at a time.

    Parameters
    ----------
    path
        The lock's file; made when it does not exist, never removed.
    waiting
        Called once, with the holder's PID, when somebody else has the lock.
    enough
        Asked while waiting; when it is true there is nothing left to do and None is yielded, without the lock.

    Yields
    ------
    int or None
        The lock's file descriptor. A child that inherits it keeps the lock after its parent was killed, so that work
        that goes on alone is waited for and not raced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    told = False
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    waiting(os.pread(descriptor, 20, 0).decode().strip() or "?")
                    told = True
                if enough():
                    yield None
                    return
                time.sleep(0.3)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
