"""TCP between the host's loopback and a cluster's network, without an interface between the two.

A socket belongs to the network namespace it was made in, wherever its process goes later. So one process listens on
one side and dials on the other; nothing has to be routed, and no other process of the host's network is involved.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from kopf_sdk.testing.cluster.namespaces import network

__all__ = ["Address", "Forwarder"]

Address = tuple[str, int]
_Side = Callable[[], AbstractContextManager[None]]


class Forwarder:
    """All forwarded ports of one cluster.

    Parameters
    ----------
    inside
        Descriptor of the cluster's network namespace (a pidfd of its PID 1 will do).
    home
        Descriptor of the network namespace this process lives in.
    """

    def __init__(self, inside: int, home: int) -> None:
        self._inside: _Side = lambda: network(inside, home)
        self._servers: dict[tuple[str, Address], tuple[asyncio.Server, Address]] = {}

    async def to_cluster(self, listen: Address, target: Address) -> Address:
        """Listen on the host, dial in the cluster; returns where it listens (port 0: a free one)."""
        return await self._open("host", listen, target, nullcontext, self._inside)

    async def to_host(self, listen: Address, target: Address) -> Address:
        """Listen in the cluster, dial on the host; returns where it listens (port 0: a free one)."""
        return await self._open("cluster", listen, target, self._inside, nullcontext)

    async def _open(self, side: str, listen: Address, target: Address, listener: _Side, dialer: _Side) -> Address:
        if known := self._servers.get((side, target)):
            return known[1]
        with listener():
            sock = socket.create_server(listen, backlog=512)
        address = cast(Address, sock.getsockname()[:2])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Accepted(dialer, target), sock=sock)
        self._servers[side, target] = (server, address)
        return address


class _Pipe(asyncio.Protocol):
    """One end of a connection: what it reads goes to its peer, at the speed the peer can take."""

    transport: asyncio.Transport
    peer: _Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        """End the connection in a way the other side sees as an error."""
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None  # reading is paused until there is one
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass on that nothing more comes, and keep the other direction open."""
        if self.peer is not None and self.peer.transport.can_write_eof() and not self.peer.transport.is_closing():
            self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and not self.peer.transport.is_closing():
            # A reset must arrive as a reset, not as an orderly end.
            if exc is not None:
                self.peer.reset()
            else:
                self.peer.transport.close()


class _Accepted(_Pipe):
    """The end that somebody connected to; it dials the other one."""

    def __init__(self, dialer: _Side, target: Address) -> None:
        self._dialer = dialer
        self._target = target
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._dial())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(exc)

    async def _dial(self) -> None:
        with self._dialer():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_connect(sock, self._target), timeout=10)
        except (OSError, TimeoutError):
            sock.close()
            self.reset()
            return
        except asyncio.CancelledError:
            sock.close()
            raise
        dialled = _Pipe()
        dialled.peer = self
        await loop.create_connection(lambda: dialled, sock=sock)
        self.peer = dialled
        if self.transport.is_closing():
            dialled.transport.abort()
        else:
            self.transport.resume_reading()
