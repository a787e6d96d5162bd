"""The application of the cache drill: in a pod of its own it reads and writes all the time, and counts when asked.

It needs nothing but Python. `serve ITEMS` works; `ask '{"do": …}'` in the same pod prints its answer as JSON:

- `configure` with `servers`, or `discover` (a name whose addresses are the servers), `login`, `ca`: whom to talk to;
- `fill`: store every item that is missing; `count`: how many items are there, with the value they were stored with;
- `tally_up`: what became of the requests since it was asked last.

Items are spread over the servers by rendezvous hashing: of n servers, one that comes or goes moves 1/n of the keys.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Tally", "place", "value_of"]

CONTROL_PORT = 7777
WORKERS = 4
PAUSE = 0.005
"""Seconds between two requests of a worker."""
PATIENCE = 30.0
"""Seconds for which a request is tried again; then it has failed."""
TRY_AGAIN = 0.05
TIMEOUT = 1.0
"""Seconds for an answer, until a request is tried again."""
COUNTING_TIMEOUT = 20.0
BATCH = 50
"""Items asked for at a time. Over TLS, memcached 1.6.38 stalls when it gets more than its read buffer takes."""
LIVE_KEYS = 200
"""Keys that each worker writes; the items that are counted are only read."""


@dataclass
class Tally:
    """What became of requests.

    Attributes
    ----------
    requests, failed
        All of them, and those without an answer within 30 s.
    retried
        Those that took more than one try.
    slowest
        Seconds that one took, with all its tries.
    wrong
        Answers with another value than the last one stored.
    """

    requests: int = 0
    failed: int = 0
    retried: int = 0
    slowest: float = 0.0
    wrong: int = 0

    def add(self, *, seconds: float, tries: int, answered: bool) -> None:
        """Count a request that is over."""
        self.requests += 1
        self.failed += not answered
        self.retried += tries > 1
        self.slowest = max(self.slowest, seconds)


def place(key: str, servers: Sequence[str]) -> str:
    """Return the server that a key belongs to."""
    return max(servers, key=lambda server: hashlib.blake2b(f"{server} {key}".encode(), digest_size=8).digest())


def value_of(number: int) -> bytes:
    """Return the value that an item has for ever."""
    return b"%d " % number + b"x" * 100


class UnansweredError(Exception):
    """The server cannot be reached, or does not answer as memcached does."""


@dataclass
class Cluster:
    """The servers, as far as the application knows."""

    servers: list[str] = field(default_factory=list)
    discover: str = ""
    login: str = ""
    ca: str = ""
    number: int = 0
    """Grows whenever something of it changes: connections of before are of no use."""

    def configure(self, **settings: Any) -> None:
        """Take over what is given."""
        for name, value in settings.items():
            setattr(self, name, value)
        self.number += 1

    async def follow(self) -> None:
        """Look the servers up again and again, where they are known by one name only."""
        while True:
            if self.discover:
                host, _, port = self.discover.rpartition(":")
                found = await _addresses(host, int(port))
                if found and found != self.servers:
                    self.configure(servers=found)
            await asyncio.sleep(0.5)

    async def connect(self, server: str, limit: float = TIMEOUT) -> Connection:
        """Open a connection and log in. Raises UnansweredError."""
        host, _, port = server.rpartition(":")
        tls = None
        if self.ca:
            tls = ssl.create_default_context(cadata=self.ca)
        try:
            async with asyncio.timeout(limit):
                connection = Connection(*await asyncio.open_connection(host, int(port), ssl=tls), limit)
        except (OSError, TimeoutError) as error:
            raise UnansweredError(f"{server}: {error or 'no connection in time'}") from error
        if self.login:
            answer = await connection.ask(b"set auth 0 0 %d\r\n%s" % (len(self.login), self.login.encode()))
            if answer != b"STORED":
                connection.close()
                raise UnansweredError(f"{server}: {answer.decode()}")
        return connection


class Connection:
    """One connection to one memcached."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: float) -> None:
        self._reader, self._writer, self._limit = reader, writer, limit

    async def ask(self, command: bytes) -> bytes:
        """Send a command and return the line that answers it."""
        self._writer.write(command + b"\r\n")
        return await self._line()

    async def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those that are there."""
        self._writer.write(b"get %s\r\n" % " ".join(keys).encode())
        found = {}
        while (line := await self._line()) != b"END":
            word, *fields = line.split()
            if word != b"VALUE":
                raise UnansweredError(line.decode(errors="replace"))
            found[fields[0].decode()] = (await self._read(int(fields[2]) + 2))[:-2]
        return found

    async def set_many(self, items: dict[str, bytes]) -> None:
        """Store items. Raises UnansweredError when one is refused."""
        self._writer.write(b"".join(b"set %s 0 0 %d\r\n%s\r\n" % (k.encode(), len(v), v) for k, v in items.items()))
        for _ in items:
            if (line := await self._line()) != b"STORED":
                raise UnansweredError(line.decode(errors="replace"))

    async def process(self) -> str:
        """Return what tells a memcached process from its successor in the same pod."""
        self._writer.write(b"stats\r\n")
        found = {}
        while (line := await self._line()) != b"END":
            _, name, value = line.decode().split(" ", 2)
            found[name] = value
        return found["pid"]

    def close(self) -> None:
        """Close it without another word."""
        self._writer.close()

    async def _line(self) -> bytes:
        return (await self._bounded(self._reader.readuntil(b"\r\n")))[:-2]

    async def _read(self, size: int) -> bytes:
        return await self._bounded(self._reader.readexactly(size))

    async def _bounded(self, reading: Any) -> bytes:
        try:
            return bytes(await asyncio.wait_for(reading, self._limit))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise UnansweredError(str(error) or "no answer in time") from error


class Worker:
    """Reads items and writes keys of its own, one request after the other, each tried until it is answered."""

    def __init__(self, number: int, cluster: Cluster, items: int, tally: Tally) -> None:
        self._number, self._cluster, self._items, self.tally = number, cluster, items, tally
        self._random = random.Random(number)  # noqa: S311 (no secret)
        self._connections: dict[str, Connection] = {}
        self._of = -1
        self._written: dict[str, bytes] = {}

    async def work(self) -> None:
        """Go on for ever."""
        while True:
            if self._cluster.servers:
                await self._one()
            await asyncio.sleep(PAUSE)

    async def _one(self) -> None:
        kind = self._random.random()
        if kind < 0.6:
            number = self._random.randrange(self._items)
            await self._read(f"item-{number}", value_of(number))
            return
        key = f"live-{self._number}-{self._random.randrange(LIVE_KEYS)}"
        if kind < 0.8 and key in self._written:
            await self._read(key, self._written[key])
            return
        value = b"%d" % time.time_ns()
        if await self._until_answered(key, lambda connection: connection.set_many({key: value})):
            self._written[key] = value
        else:
            self._written.pop(key, None)

    async def _read(self, key: str, expected: bytes) -> None:
        found: dict[str, bytes] = {}

        async def get(connection: Connection) -> None:
            found.update(await connection.get([key]))

        await self._until_answered(key, get)
        self.tally.wrong += found.get(key, expected) != expected

    async def _until_answered(self, key: str, request: Any) -> bool:
        started, tries = time.monotonic(), 0
        while time.monotonic() - started < PATIENCE:
            tries += 1
            server = place(key, self._cluster.servers)
            try:
                await request(await self._connection(server))
            except UnansweredError:
                if (broken := self._connections.pop(server, None)) is not None:
                    broken.close()
                await asyncio.sleep(TRY_AGAIN)
                continue
            self.tally.add(seconds=time.monotonic() - started, tries=tries, answered=True)
            return True
        self.tally.add(seconds=time.monotonic() - started, tries=tries, answered=False)
        return False

    async def _connection(self, server: str) -> Connection:
        if self._of != self._cluster.number:
            for connection in self._connections.values():
                connection.close()
            self._connections, self._of = {}, self._cluster.number
            self._written.clear()  # where keys are looked for elsewhere, older values may be: that is hashing's doing
        if server not in self._connections:
            self._connections[server] = await self._cluster.connect(server)
        return self._connections[server]


class Application:
    """The workers, and the answers to questions about them."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._cluster, self._tally = Cluster(), Tally()
        self._workers = [Worker(number, self._cluster, items, self._tally) for number in range(WORKERS)]

    async def run(self) -> None:
        """Work, and answer questions, until the process is told to end."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", CONTROL_PORT)
        async with server, asyncio.TaskGroup() as group:
            group.create_task(self._cluster.follow())
            for worker in self._workers:
                group.create_task(worker.work())

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = json.loads(await reader.readline())
        try:
            answer = await getattr(self, f"_{question.pop('do')}")(**question)
        except (UnansweredError, TypeError, ValueError, AttributeError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
        writer.close()

    async def _configure(self, **settings: Any) -> dict[str, Any]:
        self._cluster.configure(**settings)
        while not self._cluster.servers:  # noqa: ASYNC110 (they are being looked up)
            await asyncio.sleep(0.1)
        return {}

    async def _tally_up(self) -> dict[str, Any]:
        answer = asdict(self._tally)
        self._tally = Tally()
        for worker in self._workers:
            worker.tally = self._tally
        return answer

    async def _count(self) -> dict[str, Any]:
        present, processes = 0, {}
        for server, numbers in self._spread().items():
            connection = await self._cluster.connect(server, COUNTING_TIMEOUT)
            for start in range(0, len(numbers), BATCH):
                batch = numbers[start : start + BATCH]
                found = await connection.get(f"item-{number}" for number in batch)
                present += sum(found.get(f"item-{number}") == value_of(number) for number in batch)
            processes[server] = await connection.process()
            connection.close()
        return {"items": present, "processes": processes}

    async def _fill(self) -> dict[str, Any]:
        stored = 0
        for server, numbers in self._spread().items():
            connection = await self._cluster.connect(server, COUNTING_TIMEOUT)
            for start in range(0, len(numbers), BATCH):
                batch = numbers[start : start + BATCH]
                found = await connection.get(f"item-{number}" for number in batch)
                missing = {f"item-{n}": value_of(n) for n in batch if found.get(f"item-{n}") != value_of(n)}
                await connection.set_many(missing)
                stored += len(missing)
            connection.close()
        return {"stored": stored}

    def _spread(self) -> dict[str, list[int]]:
        spread: dict[str, list[int]] = {server: [] for server in self._cluster.servers}
        for number in range(self._items):
            spread[place(f"item-{number}", self._cluster.servers)].append(number)
        return spread


async def _addresses(host: str, port: int) -> list[str]:
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({f"{address[0]}:{port}" for *_, address in found})


def _ask(question: str) -> str:
    with socket.create_connection(("127.0.0.1", CONTROL_PORT), timeout=120) as connection:
        connection.sendall(question.encode() + b"\n")
        with connection.makefile() as answer:
            return answer.readline()


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        sys.stdout.write(_ask(sys.argv[2]))
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        asyncio.run(Application(int(sys.argv[2])).run())
