"""From the spare to the memcached that took the place of the old one, while clients already use it.

Nothing that is there is touched (`add`), so newer values win. What is *not* there is the difficult part: it may never
have come back, or a client may have deleted it, and memcached logs no deletion of what is not there. But it does log
that a key was looked up in vain, and it counts deletions in vain. So a key that was looked up in vain while that count
moved may have been deleted: it is not copied, and taken back if it was. The same goes for keys that clients stored
themselves: if they are gone, that was meant.

Deletions before the watching begins cannot be told from anything; then nothing is copied at all. That time is
milliseconds: the new memcached is dialled from before it exists.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from memcached_operator.handover.meta import Endpoint, Entry, Item, Session, open_session
from memcached_operator.handover.outward import OLDEST_SOURCE, HandoverError
from memcached_operator.handover.pace import BATCH_BYTES, Pace
from memcached_operator.handover.watching import Counters, Line, Watcher
from memcached_operator.wire import WireError

__all__ = ["Homeward", "Kept"]

_BATCH_ITEMS = 1000
_LOG_BYTES = 40 * 2**10
"""A copied item takes two entries of memcached's log. A worker's buffer holds 64 KiB, clients need some of it too."""
_ENTRY_BYTES = 70
_ROUNDS = 3
"""A deletion's line and its count may come in neighbouring rounds, in either order."""
_MOST_TOUCHED = 300_000
_DIAL_TIMEOUT = 1.0
_PATIENCE = 30.0
"""Seconds that an answer may take on a busy node: once the connection is lost, nobody knows what clients deleted."""
_CONFIRM_AGAIN = 0.05
_DIAL_AGAIN = 0.003
"""Seconds; a port that is not open yet refuses at once."""


@dataclass
class Kept:
    """What became of the items of the spare.

    Attributes
    ----------
    copied
        Are there again.
    newer
        Clients had stored them meanwhile.
    withheld
        May have been deleted meanwhile.
    expired
        Reached the end of their life.
    refused
        Did not fit.
    """

    copied: int = 0
    newer: int = 0
    withheld: int = 0
    expired: int = 0
    refused: int = 0


@dataclass
class _Round:
    """One batch, and what happened while it was copied."""

    copied: dict[bytes, int] = field(default_factory=dict)
    """Key and CAS of what was copied."""
    missed: set[bytes] = field(default_factory=set)
    """What clients looked up in vain."""
    deleted: bool = False
    """Whether a client deleted in vain."""


class Homeward:
    """The copy back.

    Parameters
    ----------
    spare
        Where the items are.
    targets
        Where the new memcached may be found, looked up anew for each try: its address may not be known yet.
    pace
        How fast.
    confirmed
        Whether a target is known to be the right one; until then it is watched, and gets nothing.
    """

    def __init__(
        self,
        spare: Endpoint,
        targets: Callable[[], Awaitable[list[Endpoint]]],
        pace: Pace,
        confirmed: Callable[[Endpoint], Awaitable[bool]] | None = None,
    ) -> None:
        self._spare = spare
        self._targets = targets
        self._confirmed = confirmed
        self._pace = pace
        self._own = ""
        self._touched: set[bytes] = set()
        """What clients did something to: never copied."""
        self._rounds: deque[_Round] = deque([_Round()], maxlen=_ROUNDS)
        self._undone = (0, 0)
        """Deletions of our own since the counters were read, in vain and not."""
        self._dropped = 0
        self.kept = Kept()

    async def run(self) -> Kept:
        """Wait for the new memcached, copy, and return what became of the items.

        Raises
        ------
        HandoverError
            Clients deleted items before they could be watched, or do more than can be followed. What was copied until
            then stays.
        """
        try:
            async with AsyncExitStack() as stack:
                where, talking, watching, counters = await self._watched(stack)
                spare = await stack.enter_async_context(open_session(self._spare, timeout=_PATIENCE))
                dumping = await stack.enter_async_context(open_session(self._spare, timeout=_PATIENCE))
                watcher = Watcher(watching, talking, self._see, patience=_PATIENCE)
                async with watcher.reading():
                    counters = await self._until_confirmed(where, talking, watcher, counters)
                    await self._copy(talking, spare, dumping, watcher, counters)
        except WireError as error:
            raise HandoverError(f"the connection broke while items were copied back: {error}") from error
        return self.kept

    async def _watched(self, stack: AsyncExitStack) -> tuple[Endpoint, Session, Session, Counters]:
        """Dial until the new memcached answers, and watch it at once.

        Returns where it is, two sessions, the second of which is the stream, and what memcached had counted when that
        began.
        """
        while True:
            for target in await self._targets():
                try:
                    async with AsyncExitStack() as trying:
                        async with asyncio.timeout(_DIAL_TIMEOUT):
                            talking = await trying.enter_async_context(open_session(target, timeout=_PATIENCE))
                        watching = await trying.enter_async_context(open_session(target, timeout=_PATIENCE))
                        await watching.watch("mutations", "fetchers")
                        counters = Counters.of(await talking.stats())
                        stack.push_async_exit(trying.pop_all())
                        return target, talking, watching, counters
                except (WireError, TimeoutError):
                    continue
            await asyncio.sleep(_DIAL_AGAIN)

    async def _until_confirmed(self, where: Endpoint, target: Session, watcher: Watcher, before: Counters) -> Counters:
        """Note what clients do until it is sure that this is the new memcached."""
        if before.delete_hits or before.delete_misses or before.flushes:
            raise HandoverError("clients deleted items of the new memcached before that could be watched")
        await watcher.settled()
        self._own, self._dropped = watcher.own, before.dropped
        while self._confirmed is not None and not await self._confirmed(where):
            before = await self._judge(before, target, watcher)
            await asyncio.sleep(_CONFIRM_AGAIN)
        return before

    async def _copy(
        self, target: Session, spare: Session, dumping: Session, watcher: Watcher, before: Counters
    ) -> None:
        with_cas = await target.version() >= OLDEST_SOURCE
        async for entries in target.dump(_BATCH_ITEMS, BATCH_BYTES):
            self._touched.update(entry.key for entry in entries)

        async for entries in dumping.dump(_BATCH_ITEMS, BATCH_BYTES):
            for keys in _rounds(entries):
                wanted = [key for key in keys if key not in self._touched]
                self.kept.newer += len(keys) - len(wanted)
                items = [item for item in await spare.fetch(wanted) if item is not None]
                self.kept.expired += len(wanted) - len(items)
                self._rounds[-1].copied = await self._add(items, target, with_cas)
                before = await self._judge(before, target, watcher)
                await self._pace.spend(sum(len(item.value) + len(item.key) for item in items))
        for _ in range(_ROUNDS):
            before = await self._judge(before, target, watcher)

    async def _add(self, items: list[Item], target: Session, with_cas: bool) -> dict[bytes, int]:
        copied = {}
        for item, answer in zip(items, await target.store(items, add=True, with_cas=with_cas), strict=True):
            if isinstance(answer, int):
                copied[item.key] = answer
                self.kept.copied += 1
            elif answer.startswith("NS"):
                self.kept.newer += 1
            else:
                self.kept.refused += 1
        return copied

    async def _judge(self, before: Counters, target: Session, watcher: Watcher) -> Counters:
        """End a round: find out what may have been deleted while it lasted, and take that back."""
        await watcher.settled()
        now = Counters.of(await target.stats())
        misses, hits = self._undone
        self._rounds[-1].deleted = now.delete_misses - before.delete_misses > misses
        in_vain = any(past.deleted for past in self._rounds)
        if in_vain:
            for past in self._rounds:
                self._touched |= past.missed
        unknown = now.dropped > self._dropped and (in_vain or now.delete_hits - before.delete_hits > hits)
        if unknown or now.flushes > before.flushes or len(self._touched) > _MOST_TOUCHED:
            await self._undo(target, everything=True)
            raise HandoverError("clients delete more items than can be followed")
        await self._undo(target)
        self._rounds.append(_Round())
        return now

    async def _undo(self, target: Session, *, everything: bool = False) -> None:
        """Delete what was copied in the last rounds and should not have been, unless a client stored it again."""
        wrong = [
            (key, past.copied.pop(key))
            for past in self._rounds
            for key in list(past.copied)
            if everything or key in self._touched
        ]
        deleted = await target.delete_unchanged(wrong)
        self.kept.copied -= len(wrong)
        self.kept.newer += len(wrong) - deleted
        self.kept.withheld += deleted
        self._undone = (len(wrong) - deleted, deleted)

    def _see(self, line: Line) -> None:
        if line.connection == self._own:
            return
        if line.kind == "item_store" and line.status == "stored":
            self._touched.add(line.key)
        elif line.kind == "item_get" and line.status == "not_found":
            self._rounds[-1].missed.add(line.key)


def _rounds(entries: list[Entry]) -> Iterator[list[bytes]]:
    """Cut a batch into parts that memcached's log has room for."""
    keys: list[bytes] = []
    room = _LOG_BYTES
    for entry in entries:
        keys.append(entry.key)
        room -= 2 * (_ENTRY_BYTES + len(entry.key))
        if room <= 0:
            yield keys
            keys, room = [], _LOG_BYTES
    if keys:
        yield keys
