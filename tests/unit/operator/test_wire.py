"""What memcached answers is taken for no more than it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from memcached_operator.wire import Login, LoginRefusedError, WireError, connect


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A memcached that has the same answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def logged_in(answer: bytes) -> None:
    async with answering(answer) as port, connect("127.0.0.1", port, login=Login("alice", "a")):
        pass


async def test_a_user_whom_memcached_does_not_know_is_refused() -> None:
    await logged_in(b"STORED\r\n")
    with pytest.raises(LoginRefusedError, match="user alice: CLIENT_ERROR"):
        await logged_in(b"CLIENT_ERROR authentication failure\r\n")


@pytest.mark.parametrize("answer", [b"ERROR Too many open connections\r\n", b"SERVER_ERROR out of memory\r\n"])
async def test_a_memcached_that_is_busy_says_nothing_about_the_user(answer: bytes) -> None:
    """Else it would pass for one that never takes over changed users, and be replaced."""
    with pytest.raises(WireError) as raised:
        await logged_in(answer)
    assert not isinstance(raised.value, LoginRefusedError)
