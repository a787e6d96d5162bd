"""Ports for servers that the tests start."""

from __future__ import annotations

import secrets
import socket

__all__ = ["free_port"]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on.

    It is below those that the kernel gives to connections: by the time the server comes up, somebody's connection
    could have one of them, and dialling before that could meet itself.
    """
    while True:
        port = secrets.choice(range(20_000, 32_000))
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
