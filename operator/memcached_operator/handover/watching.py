"""What clients do to a memcached meanwhile: its stream of log lines, and when those of a moment are complete.

Source: doc/protocol.txt of memcached 1.6.45, "Watchers"; logger.c for what it does not say. Worker threads log into
buffers of their own, which one thread empties in turn: lines come late (up to a second when nothing happens), out of
order, and are dropped when a buffer is full. Hence:

- A *mark* is a command that leaves nothing but a line. That thread walks over the buffers in a fixed order, so once a
  mark has been seen, and then a second one sent after it, every line older than the first mark has been seen too.
- Dropped lines are counted by memcached's statistics (`log_worker_dropped`, `log_watcher_skipped`).
- Marks also keep that thread from falling asleep.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from memcached_operator.handover.meta import Session
from memcached_operator.wire import WireError

__all__ = ["Counters", "Line", "Watcher", "parse"]

log = logging.getLogger(__name__)
_MARK = b"memcached-operator/mark/"
_MARK_DEADLINE = 10.0
_MARK_LOST = 1.5
"""Seconds after which a mark counts as dropped; memcached's logging thread sleeps for one at most."""


@dataclass(frozen=True)
class Line:
    """Something that happened to a key.

    Attributes
    ----------
    kind
        `item_store`, `item_get` or `deleted`.
    status
        How it went; empty for deletions.
    connection
        memcached's number of the client's connection, where the line has it.
    """

    kind: str
    key: bytes
    status: str
    connection: str


@dataclass(frozen=True)
class Counters:
    """Statistics that tell what the stream does not."""

    dropped: int
    """Lines that did not make it into the stream."""
    delete_misses: int
    delete_hits: int
    flushes: int
    silent: int
    """Changes of items that no line is written for: arithmetic and new expiration times."""

    @classmethod
    def of(cls, stats: Mapping[str, str]) -> Counters:
        """Read them from memcached's general statistics."""

        def total(*names: str) -> int:
            return sum(int(stats.get(name, 0)) for name in names)

        return cls(
            dropped=total("log_worker_dropped", "log_watcher_skipped"),
            delete_misses=total("delete_misses"),
            delete_hits=total("delete_hits"),
            flushes=total("cmd_flush"),
            silent=total("incr_hits", "decr_hits", "touch_hits"),
        )


class Watcher:
    """Reads the stream of one memcached.

    Parameters
    ----------
    watching
        The session that `watch` made a stream.
    marking
        Another session with the same memcached; it must not be in use when `settled` is called.
    see
        Gets every line that is not about this watcher's own marks.
    patience
        Seconds that the stream may be behind.
    """

    def __init__(
        self, watching: Session, marking: Session, see: Callable[[Line], None], *, patience: float = _MARK_DEADLINE
    ) -> None:
        self._watching = watching
        self._marking = marking
        self._see = see
        self._patience = patience
        self._mark = _MARK + secrets.token_hex(8).encode()
        self._number = 0
        self._seen = 0
        self._arrived = asyncio.Event()
        self.own = ""
        """memcached's number of the marking session's connection, once a mark was seen."""
        self.ended = asyncio.Event()
        """Set when memcached closed the stream: it has told everything that it will."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Read the stream until memcached closes it, or until the end of the block."""
        task = asyncio.create_task(self._read())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def settled(self) -> None:
        """Return when every line about what happened before this call has been seen.

        Raises
        ------
        WireError
            The stream ended, or is too far behind.
        """
        for _ in range(2):
            await self.nudge()
            await self._until(self._number)

    async def nudge(self) -> None:
        """Keep memcached's logging thread awake, so that lines come within milliseconds."""
        self._number += 1
        await self._marking.mark(b"%s/%d" % (self._mark, self._number))

    async def _until(self, number: int) -> None:
        end = asyncio.get_running_loop().time() + self._patience
        while self._seen < number:
            if self.ended.is_set():
                raise WireError("memcached closed the stream of its log")
            if asyncio.get_running_loop().time() > end:
                raise WireError(f"memcached's log is more than {self._patience:g} s behind")
            self._arrived.clear()
            try:
                async with asyncio.timeout(_MARK_LOST):
                    await self._arrived.wait()
            except TimeoutError:  # dropped, like any other line; a later one says as much
                await self.nudge()

    async def _read(self) -> None:
        rest = b""
        try:
            while chunk := await self._watching.chunk():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
        except WireError as error:
            log.debug("the stream broke: %s", error)
        finally:
            self.ended.set()
            self._arrived.set()

    def _take(self, text: bytes) -> None:
        if (line := parse(text)) is None:
            return
        if line.key.startswith(self._mark):
            if line.kind == "item_store":
                self._seen = max(self._seen, int(line.key.rpartition(b"/")[2]))
                self.own = line.connection
                self._arrived.set()
        elif not line.key.startswith(_MARK):
            self._see(line)


def parse(text: bytes) -> Line | None:
    """Read a line of the stream; None for those that are not about a key."""
    fields = dict(word.partition("=")[::2] for word in text.decode(errors="replace").split())
    if fields.get("type") not in ("item_store", "item_get", "deleted"):
        return None
    key = unquote_to_bytes(fields.get("key", ""))
    return Line(fields["type"], key, fields.get("status", ""), fields.get("cfd", ""))
