"""The endpoint on loopback, asked as clients ask it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pymemcache.client.base import Client

from memcached_operator.children.config_maps import servers
from memcached_operator.discovery.__main__ import Endpoint
from unit.operator.factory import memcached

HOSTS = [f"cache-{ordinal}.cache-nodes.shop.svc:11211" for ordinal in range(2)]
NODES = " ".join(f"{host[:-6]}|{host[:-6]}|11211" for host in HOSTS)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write(tmp_path, "7", HOSTS)
    return tmp_path


def write(directory: Path, version: str, hosts: list[str]) -> None:
    (directory / "version").write_text(version)
    (directory / "servers").write_text("".join(f"{host}\n" for host in hosts))


async def asked(directory: Path, *commands: str) -> str:
    server = await asyncio.start_server(Endpoint(directory).serve, "127.0.0.1", 0, limit=2048)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write("".join(commands).encode())
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer.decode()


CONFIGURATION = f"7\n{NODES}\n"


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("config get cluster", f"CONFIG cluster 0 {len(CONFIGURATION)}\r\n{CONFIGURATION}\r\nEND\r\n"),
        (
            "get AmazonElastiCache:cluster",
            f"VALUE AmazonElastiCache:cluster 0 {len(CONFIGURATION)}\r\n{CONFIGURATION}\r\nEND\r\n",
        ),
        ("get other", "END\r\n"),
        ("version", "VERSION 1.4.14\r\n"),
        ("set a 0 0 1", "ERROR\r\n"),
        ("quit", ""),
    ],
)
async def test_every_command_gets_the_answer_of_elasticache(directory: Path, command: str, answer: str) -> None:
    assert await asked(directory, f"{command}\r\n") == answer
    assert await asked(directory, f"{command}\n") == answer, "some clients end lines without a carriage return"


async def test_a_connection_takes_many_questions_and_the_list_is_todays(directory: Path) -> None:
    assert (await asked(directory, "version\r\nversion\r\nquit\r\nversion\r\n")).count("VERSION") == 2
    write(directory, "8", [])
    assert await asked(directory, "config get cluster\r\n") == "CONFIG cluster 0 3\r\n8\n\n\r\nEND\r\n"


async def test_a_line_without_end_ends_the_connection(directory: Path) -> None:
    assert await asked(directory, "x" * 5000) == ""


async def test_pymemcache_finds_the_end_of_the_answer(directory: Path) -> None:
    def ask(address: tuple[str, int]) -> bytes:
        client = Client(address, timeout=5)
        try:
            return bytes(client.raw_command(b"config get cluster", end_tokens=b"\n\r\nEND\r\n"))
        finally:
            client.close()

    server = await asyncio.start_server(Endpoint(directory).serve, "127.0.0.1", 0)
    async with server:
        answer = await asyncio.to_thread(ask, server.sockets[0].getsockname())
    assert answer.splitlines()[-1].decode() == NODES


def test_the_lists_version_grows_with_the_list_and_with_nothing_else() -> None:
    first = servers(memcached(size=2, generation=3), None)
    assert first["data"]["version"] == "3"
    assert servers(memcached(size=2, threads=8, generation=4), first)["data"] == first["data"]
    assert servers(memcached(size=3, generation=5), first)["data"]["version"] == "5"
