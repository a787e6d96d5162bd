"""A connection to a port of a pod through the API server, as `kubectl port-forward` makes it.

For a process outside of the cluster, which cannot reach pods otherwise; it needs `get` and `create` on
`pods/portforward`. The protocol is v4.channel.k8s.io: every frame begins with the number of its channel, 0 for data and
1 for errors, and the first frame of each channel holds the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp

from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.errors import UnreachableError

__all__ = ["forwarded"]

_DATA, _ERROR = b"\0", b"\1"
_CHUNK = 2**16


@contextlib.asynccontextmanager
async def forwarded(client: Client, namespace: str, pod: str, port: int) -> AsyncIterator[socket.socket]:
    """Yield a socket whose other end is the port of the pod; closed at the end.

    Raises
    ------
    ApiError
        If the API server does not let us, or the pod runs nowhere.
    """
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    async with client.websocket(path, params={"ports": str(port)}, protocol="v4.channel.k8s.io") as channel:
        near, far = socket.socketpair()
        with near, far:
            far.setblocking(False)
            near.setblocking(False)
            pumps = [asyncio.create_task(_to_pod(channel, far)), asyncio.create_task(_from_pod(channel, far))]
            try:
                yield near
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)


async def _to_pod(channel: aiohttp.ClientWebSocketResponse, far: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(far, _CHUNK):
        await channel.send_bytes(_DATA + data)


async def _from_pod(channel: aiohttp.ClientWebSocketResponse, far: socket.socket) -> None:
    """Hand on what comes; on an error or the end of the connection, end ours."""
    loop = asyncio.get_running_loop()
    greeted: set[bytes] = set()
    try:
        async for message in channel:
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
            number, data = message.data[:1], message.data[1:]
            if number not in greeted:
                greeted.add(number)
            elif number == _ERROR and data:
                raise UnreachableError(data.decode(errors="replace"))
            elif number == _DATA:
                await loop.sock_sendall(far, data)
    finally:
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
