"""memcached's meta commands, many at a time: whole items with value, flags, time to live and CAS.

Source: doc/protocol.txt of memcached 1.6.45, "Meta Commands" and "lru_crawler metadump". Every command gets exactly one
answer, in order, so requests are written in one go and answers matched by counting. (Quiet mode would save four bytes
an item, and the certainty of what became of each.)
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from memcached_operator.wire import Connection, Login, WireError, connect

__all__ = ["Endpoint", "Entry", "Item", "Session", "open_session"]

_SECONDS_RELATIVE = 30 * 24 * 3600
"""Above it memcached takes a time to live for a point in time (protocol.txt, "Expiration times")."""
_NEEDS_BASE64 = re.compile(rb"[\x00-\x20\x7f]")
_TLS_BYTES = 8 * 2**10
"""Requests that may be under way together over TLS: memcached 1.6.38 and older stop reading what OpenSSL holds back."""
_MANY_BUSY = 600
"""Tries, a tenth of a second apart, until somebody else's use of the crawler is over."""


@dataclass(frozen=True)
class Endpoint:
    """A memcached, and how to talk to it."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    login: Login | None = None


@dataclass(frozen=True)
class Entry:
    """A line of the dump: what memcached holds, without the value.

    Attributes
    ----------
    expires
        Unix time by that memcached's clock; None when it never does.
    size
        Bytes that the item takes there.
    """

    key: bytes
    cas: int
    expires: int | None
    size: int


@dataclass(frozen=True)
class Item:
    """An item as it can be stored elsewhere.

    Attributes
    ----------
    binary
        Whether the key was given in base64.
    ttl
        Seconds left; None without an end.
    """

    key: bytes
    binary: bool
    value: bytes
    flags: int
    ttl: int | None
    cas: int


class Session:
    """One connection for pipelined meta commands; `open_session` makes it."""

    def __init__(self, connection: Connection, timeout: float, *, tls: bool = False) -> None:
        self._connection = connection
        self._together = _TLS_BYTES if tls else sys.maxsize
        self._reader, self._writer = connection.streams
        self._timeout = timeout

    async def version(self) -> tuple[int, ...]:
        """Return memcached's version, like (1, 6, 45)."""
        return tuple(int(part) for part in re.findall(r"\d+", await self._connection.version())[:3])

    async def stats(self, group: str = "") -> dict[str, str]:
        """Return the statistics of a group."""
        return await self._connection.stats(group)

    async def fetch(self, keys: Sequence[bytes]) -> list[Item | None]:
        """Return the items, None for those that are not there.

        Neither their place in the LRU nor their last access changes. An item that was marked stale, or that is only
        somebody's promise to fill it, counts as not there: elsewhere it would pass for a good one.
        """
        found: list[Item | None] = []
        for part in self._parts([b"mg %s t f c k v u\r\n" % _word(key) for key in keys]):
            async with self._under_way(part):
                found += [await self._item(key) for key in keys[len(found) : len(found) + len(part)]]
        return found

    async def compare(self, keys: Sequence[bytes]) -> list[tuple[int, int | None] | None]:
        """Return CAS and time to live of each item, None for those that are not there."""
        found: list[tuple[int, int | None] | None] = []
        for part in self._parts([b"mg %s c t u\r\n" % _word(key) for key in keys]):
            async with self._under_way(part):
                for _ in part:
                    code, fields = _parts(await self._line())
                    found.append((int(fields["c"]), _ttl(fields)) if code == "HD" else None)
        return found

    async def store(self, items: Sequence[Item], *, add: bool = False, with_cas: bool = True) -> list[int | str]:
        """Store the items and return, for each, the CAS that it has there, or memcached's words.

        Parameters
        ----------
        add
            Leave alone what is there already (the answer is then `NS`).
        with_cas
            Keep the CAS that the items have; memcached 1.6.28 or newer.
        """
        mode = b" ME" if add else b""
        answers: list[int | str] = []
        for part in self._parts([_store(item, mode, with_cas) for item in items]):
            async with self._under_way(part):
                for _ in part:
                    line = await self._line()
                    code, fields = _parts(line)
                    answers.append(int(fields["c"]) if code == "HD" else line.decode(errors="replace"))
        return answers

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Delete the items, whatever they are."""
        await self._delete([(key, b"") for key in keys])

    async def delete_unchanged(self, known: Sequence[tuple[bytes, int]]) -> int:
        """Delete the items that still have the given CAS; return how many these were."""
        return await self._delete([(key, b" C%d" % cas) for key, cas in known])

    async def mark(self, key: bytes) -> None:
        """Leave a line in the watchers' stream and nothing else: replacing what does not exist is told, and refused."""
        self._write(b"ms %s 0 MR\r\n\r\n" % key)
        async with self._bounded():
            await self._line()

    async def dump(self, count: int, size: int) -> AsyncIterator[list[Entry]]:
        """Walk over all items, a batch at a time: at most `count` of them, with about `size` bytes together.

        The connection is busy until the end. Reading slowly only slows down the walk.
        """
        line = await self._start_dump()
        while line != b"END":
            batch: list[Entry] = []
            room = size
            async with self._bounded():
                while line != b"END" and len(batch) < count and room > 0:
                    if not line.startswith(b"key="):
                        raise WireError(f"answer to 'lru_crawler metadump': {line.decode(errors='replace')}")
                    batch.append(_entry(line))
                    room -= batch[-1].size
                    line = await self._line()
            yield batch

    async def chunk(self) -> bytes:
        """Return whatever memcached sent next, empty at its end. For a connection that watches."""
        try:
            return await self._reader.read(1 << 18)
        except OSError as error:
            raise WireError(str(error)) from error

    async def watch(self, *what: str) -> None:
        """Turn the connection into a stream of log lines. Raises WireError when memcached does not know it."""
        answer = await self._connection.command(f"watch {' '.join(what)}")
        if answer != "OK":
            raise WireError(f"answer to 'watch {' '.join(what)}': {answer}")

    async def _start_dump(self) -> bytes:
        """Ask for the dump until the crawler and the hash table are free; return the first line of the answer."""
        for _ in range(_MANY_BUSY):
            self._write(b"lru_crawler metadump hash\r\n")
            async with self._bounded():
                first = await self._line()
                if first == b"OK":
                    first = await self._line()
            if not first.startswith((b"BUSY", b"ERROR locked")):
                return first
            await asyncio.sleep(0.1)
        raise WireError("somebody else has been walking over the items for a minute")

    async def _delete(self, known: Sequence[tuple[bytes, bytes]]) -> int:
        deleted = 0
        for part in self._parts([b"md %s%s\r\n" % (_word(key), condition) for key, condition in known]):
            async with self._under_way(part):
                deleted += sum([(await self._line()).startswith(b"HD") for _ in part])
        return deleted

    async def _item(self, key: bytes) -> Item | None:
        line = await self._line()
        code, fields = _parts(line)
        if code == "EN":
            return None
        if code != "VA":
            raise WireError(f"answer to 'mg': {line.decode(errors='replace')}")
        value = (await self._exactly(int(fields["size"]) + 2))[:-2]
        ttl = _ttl(fields)
        if fields.keys() & {"X", "Z", "W"} or ttl == 0:
            return None
        return Item(key, "b" in fields, value, int(fields["f"]), ttl, int(fields["c"]))

    def _parts(self, requests: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Cut requests into what may be under way together."""
        part: list[bytes] = []
        room = self._together
        for request in requests:
            if part and len(request) > room:
                yield part
                part, room = [], self._together
            part.append(request)
            room -= len(request)
        if part:
            yield part

    @asynccontextmanager
    async def _under_way(self, requests: Sequence[bytes]) -> AsyncIterator[None]:
        """Send requests, and bound the time for their answers, which the block reads."""
        self._write(b"".join(requests))
        async with self._bounded():
            yield

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            raise WireError(f"no answer within {self._timeout:g} s") from error

    def _write(self, data: bytes) -> None:
        # Not drained: answers are read right after, and memcached reads on only as its answers are taken.
        self._writer.write(data)

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readuntil(b"\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise WireError(str(error) or "memcached closed the connection") from error
        return line.rstrip(b" \r\n")

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise WireError(str(error)) from error


@asynccontextmanager
async def open_session(endpoint: Endpoint, *, timeout: float = 5.0) -> AsyncIterator[Session]:  # noqa: ASYNC109
    """Open a connection and log in. No answer, nor a batch of answers, is waited for longer than `timeout` seconds.

    Raises
    ------
    WireError
        As `wire.connect`. Every method raises it too.
    """
    where = (endpoint.host, endpoint.port)
    async with connect(*where, tls=endpoint.tls, login=endpoint.login, timeout=timeout) as connection:
        yield Session(connection, timeout, tls=endpoint.tls is not None)


def _word(key: bytes) -> bytes:
    """Return a key as a word of a request. memcached finds a key the same whichever way it is written."""
    return base64.b64encode(key) + b" b" if _NEEDS_BASE64.search(key) else key


def _store(item: Item, mode: bytes, with_cas: bool) -> bytes:
    size = len(item.value)
    head = b"%s %d b" % (base64.b64encode(item.key), size) if item.binary else b"%s %d" % (item.key, size)
    ttl = b""
    if item.ttl is not None:
        ttl = b" T%d" % (item.ttl if item.ttl <= _SECONDS_RELATIVE else int(time.time()) + item.ttl)
    cas = b" E%d" % item.cas if with_cas else b""
    return b"ms %s F%d%s%s%s c\r\n%s\r\n" % (head, item.flags, ttl, mode, cas, item.value)


def _parts(line: bytes) -> tuple[str, dict[str, str]]:
    """Return an answer's code and its flags by their letter; the size of a value is `size`."""
    code, *words = line.decode(errors="replace").split(" ")
    fields = {"size": words.pop(0)} if code == "VA" and words else {}
    return code, fields | {word[0]: word[1:] for word in words if word}


def _ttl(fields: dict[str, str]) -> int | None:
    ttl = int(fields["t"])
    return None if ttl < 0 else ttl


def _entry(line: bytes) -> Entry:
    fields = dict(word.partition(b"=")[::2] for word in line.split())
    expires = int(fields[b"exp"])
    return Entry(
        unquote_to_bytes(fields[b"key"]),
        int(fields[b"cas"]),
        None if expires < 0 else expires,
        int(fields[b"size"]),
    )
