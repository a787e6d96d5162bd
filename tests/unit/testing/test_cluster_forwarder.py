"""Bytes through the forwarder. Both sides are this network here; the crossing is tested with a real cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

import pytest

from kopf_sdk.testing.cluster import forwarder
from kopf_sdk.testing.cluster.forwarder import Address, Forwarder

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], "asyncio.Future[None] | object"]


@pytest.fixture(autouse=True)
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "network", lambda inside, home: nullcontext())


@asynccontextmanager
async def _forwarded(handler: Handler) -> AsyncIterator[Address]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)  # type: ignore[arg-type]
    host, port = server.sockets[0].getsockname()
    async with server:
        yield await Forwarder(-1, -1).to_cluster(("127.0.0.1", 0), (host, port))


async def test_a_client_that_ends_sending_still_gets_the_whole_answer() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()  # until the client's end is passed on
        writer.write(received[::-1])
        await writer.drain()
        writer.close()

    async with _forwarded(handler) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"abc")
        writer.write_eof()
        assert await reader.read() == b"cba"
        writer.close()


async def test_a_slow_reader_gets_everything_and_slows_the_sender_down() -> None:
    size = 64 << 20
    sent = 0

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        block = bytes(1 << 16)
        while sent < size:
            writer.write(block)
            await writer.drain()
            sent += len(block)
        writer.close()

    async with _forwarded(handler) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        await asyncio.sleep(0.3)
        assert sent < size / 2  # buffers are bounded: nobody holds what is not read
        received = 0
        while block := await reader.read(1 << 20):
            received += len(block)
        assert received == size
        writer.close()


async def test_many_connections_at_once() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    async def call(number: int, address: Address) -> bool:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(f"{number}\n".encode())
        answer = await reader.read()
        writer.close()
        return answer == f"{number}\n".encode()

    async with _forwarded(handler) as address:
        assert all(await asyncio.gather(*(call(number, address) for number in range(300))))


async def test_nobody_behind_it_closes_the_connection() -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    address = await Forwarder(-1, -1).to_cluster(("127.0.0.1", 0), target)
    reader, writer = await asyncio.open_connection(*address)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.readexactly(1), 60)
    writer.close()


async def test_a_reset_arrives_as_one() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.transport.abort()

    async with _forwarded(handler) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"x")
        assert await asyncio.wait_for(_ended(reader), 60)
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_the_same_target_is_exposed_once() -> None:
    forward = Forwarder(-1, -1)
    first = await forward.to_host(("127.0.0.1", 0), ("127.0.0.1", 9))
    assert await forward.to_host(("127.0.0.1", 0), ("127.0.0.1", 9)) == first
    assert await forward.to_host(("127.0.0.1", 0), ("127.0.0.1", 10)) != first
