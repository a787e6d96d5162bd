"""An image registry of a test's own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from kopf_sdk.testing.tools import binary
from ports import free_port
from waiting import eventually

__all__ = ["serving"]


@contextmanager
def serving() -> Iterator[str]:
    """Serve an empty registry from memory, over plain HTTP on loopback; give its `host:port`."""
    address = ("127.0.0.1", free_port())
    where = f"{address[0]}:{address[1]}"
    server = subprocess.Popen(
        [binary("crane"), "registry", "serve", "--address", where],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert server.poll() is None, "the registry ended"
        with socket.socket() as probe:
            return probe.connect_ex(address) == 0

    try:
        eventually(answers, within=120)
        yield where
    finally:
        server.terminate()
        server.wait()
