"""From a memcached that serves and will go, to a spare one that nobody else uses: an exact copy, kept exact to the end.

Keys that memcached's log names are looked at again, whatever happened to them, so the order of its lines does not
matter. What the log does not name (arithmetic, new expiration times, `flush_all`, lines that were dropped) shows in
statistics; then both sides are compared: the spare's items carry the CAS of the originals.

When the source goes, what it told last and could not be asked about any more is deleted from the spare: better gone
than outdated. memcached that stops in order (SIGUSR1) stops its workers first and its log later, so nothing is missed.
Not seen are increments and new expiration times of the last seconds, and what a killed memcached did in its last
milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from memcached_operator.handover.meta import Endpoint, Entry, Session, open_session
from memcached_operator.handover.pace import BATCH_BYTES, BATCH_ITEMS, Pace
from memcached_operator.handover.watching import Counters, Line, Watcher
from memcached_operator.wire import WireError

__all__ = ["OLDEST_SOURCE", "HandoverError", "Outward"]

log = logging.getLogger(__name__)

OLDEST_SOURCE = (1, 6, 28)
"""The first memcached that lets a copy keep the CAS; its log has told deletions since 1.6.21."""
_MOST_DIRTY = 300_000
"""Keys that may wait to be looked at again. More are found by comparing."""
_HEARTBEAT = 0.003
_LOOK_AT_COUNTERS = 0.1
_COMPARE_AGAIN = 2.0
"""Seconds between two comparisons while clients go on counting and touching."""
_CLOCK_TOLERANCE = 2
_LAST_LINES = 5.0
_MOST_RESYNCS = 20
_MOST_TRIES = 6
"""How often it is begun when one of the two does not answer, each time with what the spare has by then."""
_TRY_AGAIN = 2.0


class HandoverError(Exception):
    """The items cannot be handed over; the message says why."""


class _SilentError(Exception):
    """One of the two did not answer in time, or is gone: which of it, another try will show."""


class Outward:
    """The copy to the spare.

    Parameters
    ----------
    source, spare
        The two.
    pace
        How fast.
    caught_up
        Called with True when the spare holds everything (the source may go now), with False when it no longer does.
    """

    def __init__(self, source: Endpoint, spare: Endpoint, pace: Pace, caught_up: Callable[[bool], None]) -> None:
        self._endpoints = (source, spare)
        self._pace = pace
        self._caught_up = caught_up
        self._exact = False
        self._dirty: dict[bytes, None] = {}
        self._overflow = False
        self.refused = 0
        """Items that the spare did not take: too large for it, or no memory."""

    async def run(self) -> None:
        """Copy, follow, and end when the source is gone and the spare has what is sure.

        Raises
        ------
        HandoverError
            The source is too old, or went before everything was copied, or changes faster than it can be copied.
        """
        for tried in range(_MOST_TRIES):
            try:
                return await self._try(begun=tried > 0)
            except (_SilentError, WireError) as error:
                self._tell(False)
                log.info("%s", error)
                why = error
                await asyncio.sleep(_TRY_AGAIN)
        raise HandoverError(str(why)) from why

    async def _try(self, *, begun: bool) -> None:
        async with _sessions(*self._endpoints) as (source, dumping, watching, spare):
            await _check(source)
            await watching.watch("mutations", "deletions")
            watcher = Watcher(watching, source, self._see)
            async with watcher.reading():
                try:
                    await self._follow(source, dumping, spare, watcher, begun=begun)
                except WireError as error:
                    await self._end(error, spare, watcher)

    async def _follow(
        self, source: Session, dumping: Session, spare: Session, watcher: Watcher, *, begun: bool
    ) -> None:
        """Never returns: WireError says that one of the two is gone."""
        known = Counters.of(await source.stats())
        await self._compare(source, dumping, spare)
        if begun:  # what was deleted since is told by no log
            await self._purge(source, spare)
        compared = looked = _now()
        resyncs = 0
        while True:
            await watcher.settled()
            now = Counters.of(await source.stats())
            lost = now.dropped != known.dropped or now.flushes != known.flushes or self._overflow
            if lost:
                self._tell(False)
                if (resyncs := resyncs + 1) > _MOST_RESYNCS:
                    raise HandoverError("clients change items faster than memcached tells of it")
                known, self._overflow = now, False
                await self._compare(source, dumping, spare)
                await self._purge(source, spare)
                compared = _now()
                continue
            if now.silent != known.silent and (not self._exact or _now() - compared > _COMPARE_AGAIN):
                known = now
                await self._compare(source, dumping, spare)
                compared = _now()
            await self._look_again(source, spare)
            self._tell(True)
            looked = _now()
            while _now() - looked < _LOOK_AT_COUNTERS:
                await watcher.nudge()
                await self._look_again(source, spare)
                await asyncio.sleep(_HEARTBEAT)

    async def _compare(self, source: Session, dumping: Session, spare: Session) -> None:
        """Copy what the spare lacks, or has otherwise."""
        lag = _now() - int((await source.stats())["time"])
        async for entries in dumping.dump(BATCH_ITEMS, BATCH_BYTES):
            there = await spare.compare([entry.key for entry in entries])
            time = _now() - lag
            differing = [
                entry.key for entry, found in zip(entries, there, strict=True) if not _same(entry, found, time)
            ]
            await self._copy(differing, source, spare)
            await self._look_again(source, spare)

    async def _purge(self, source: Session, spare: Session) -> None:
        """Delete from the spare what the source no longer has."""
        async with open_session(self._endpoints[1]) as dumping:
            async for entries in dumping.dump(BATCH_ITEMS, BATCH_BYTES):
                keys = [entry.key for entry in entries]
                there = await source.compare(keys)
                await spare.delete([key for key, found in zip(keys, there, strict=True) if found is None])

    async def _look_again(self, source: Session, spare: Session) -> None:
        while self._dirty:
            keys = list(self._dirty)[:BATCH_ITEMS]
            for key in keys:
                del self._dirty[key]
            await self._copy(keys, source, spare)

    async def _copy(self, keys: list[bytes], source: Session, spare: Session) -> None:
        """Make these keys in the spare what they are in the source now."""
        if not keys:
            return
        try:
            found = await source.fetch(keys)
            await spare.delete([key for key, item in zip(keys, found, strict=True) if item is None])
            items = [item for item in found if item is not None]
            stored = await spare.store(items)
        except WireError:
            self._dirty.update(dict.fromkeys(keys))
            raise
        refused = [item.key for item, answer in zip(items, stored, strict=True) if isinstance(answer, str)]
        self.refused += len(refused)
        await spare.delete(refused)  # an older value may be there
        await self._pace.spend(sum(len(item.value) + len(item.key) for item in items))

    async def _end(self, error: WireError, spare: Session, watcher: Watcher) -> None:
        """Take the source's last words, and delete what they are about."""
        if not self._exact:
            raise _SilentError(f"memcached went away before its items were copied: {error}") from error
        try:
            await asyncio.wait_for(watcher.ended.wait(), _LAST_LINES)
        except TimeoutError:
            raise _SilentError(f"memcached stopped answering, but did not say that it ends: {error}") from error
        if self._overflow:
            raise HandoverError("memcached told of more changes than could be followed, and ended") from error
        keys = list(self._dirty)
        for start in range(0, len(keys), BATCH_ITEMS):
            await spare.delete(keys[start : start + BATCH_ITEMS])

    def _see(self, line: Line) -> None:
        if line.kind == "item_store" and line.status != "stored":
            return
        if len(self._dirty) < _MOST_DIRTY:
            self._dirty[line.key] = None
        else:
            self._overflow = True

    def _tell(self, exact: bool) -> None:
        if exact != self._exact:
            self._exact = exact
            self._caught_up(exact)


@asynccontextmanager
async def _sessions(source: Endpoint, spare: Endpoint) -> AsyncIterator[tuple[Session, Session, Session, Session]]:
    async with (
        open_session(source) as talking,
        open_session(source) as dumping,
        open_session(source) as watching,
        open_session(spare) as copying,
    ):
        yield talking, dumping, watching, copying


async def _check(source: Session) -> None:
    version = await source.version()
    if version < OLDEST_SOURCE:
        oldest, found = (".".join(map(str, parts)) for parts in (OLDEST_SOURCE, version))
        raise HandoverError(f"memcached {found} cannot be copied while it serves; {oldest} or newer is needed")
    if (await source.stats("settings")).get("cas_enabled") == "no":
        raise HandoverError("memcached runs without CAS, so copies cannot be compared")


def _same(entry: Entry, found: tuple[int, int | None] | None, time: float) -> bool:
    """Tell whether the spare's item is the source's: the same CAS, and the same end of its life."""
    if found is None or found[0] != entry.cas:
        return False
    if entry.expires is None or found[1] is None:
        return entry.expires is None and found[1] is None
    return abs(entry.expires - time - found[1]) <= _CLOCK_TOLERANCE


def _now() -> float:
    return asyncio.get_running_loop().time()
