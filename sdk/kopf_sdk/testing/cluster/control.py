"""Ask the keeper of a cluster: one JSON line there, one back."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.state import Layout

__all__ = ["KeeperGoneError", "ask"]


class KeeperGoneError(SdkError):
    """Nobody answers for this cluster."""


def ask(layout: Layout, operation: str, *, timeout: float = 60.0, **arguments: Any) -> Any:
    """Have the keeper do something and return its result (timeout in seconds).

    Raises
    ------
    KeeperGoneError
        There is no keeper, or it does not answer in time.
    SdkError
        It tried and failed.
    """
    try:
        answer = json.loads(_exchange(layout, {"operation": operation, **arguments}, timeout))
    except (OSError, ValueError) as error:
        raise KeeperGoneError(
            f"the cluster '{layout.name}' does not answer ({error})",
            hint=f"kopf-sdk cluster up --name {layout.name} repairs it, kopf-sdk cluster status shows what is left",
        ) from error
    if "error" in answer:
        raise SdkError(f"cluster '{layout.name}': {operation}: {answer['error']}")
    return answer["result"]


def _exchange(layout: Layout, request: dict[str, Any], timeout: float) -> bytes:
    # Through the directory's descriptor: the path itself may be longer than a socket's address can be.
    directory = os.open(layout.directory, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(f"/proc/self/fd/{directory}/{layout.control_socket.name}")
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                return stream.readline()
    finally:
        os.close(directory)
