"""The work queue: which keys are to be reconciled, when, and never one twice at a time.

client-go's rate limiting work queue in asyncio: a key that is added again while it waits is one key; a key that is
added while it is worked on is worked on once more afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

__all__ = ["Backoff", "Priority", "Queue", "QueueClosedError", "QueueObserver"]


class QueueClosedError(Exception):
    """No more keys are given out."""


class Priority(IntEnum):
    """What goes first: whatever was in order and is no longer must not wait behind a thousand new resources."""

    URGENT = 0
    """A resource that had been seen to, or a child of it, was changed."""
    FRESH = 1
    """New resources, and what follows from our own writes."""
    ROUTINE = 2
    """The first sight of a resource after the start, and resyncs."""


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff of one key: client-go's 5 ms to 1,000 s, with jitter against marching in step."""

    base: float = 0.005
    """Seconds before the first retry."""
    cap: float = 1000.0
    """Longest wait in seconds."""
    jitter: float = 0.1
    """Share of the wait that is random."""

    def delay(self, failures: int) -> float:
        """Return the seconds to wait after that many failures before this one."""
        wait = min(self.base * 2.0 ** min(failures, 60), self.cap)
        return wait * (1 + self.jitter * random.uniform(-1, 1))  # noqa: S311 (no secret)


class QueueObserver(Protocol):
    """Is told what happens in the queue (metrics)."""

    def added(self, depth: int) -> None:
        """Tell that a key was added; `depth` keys wait now."""

    def taken(self, depth: int, waited: float) -> None:
        """Tell that a key was taken, after `waited` seconds."""

    def retried(self) -> None:
        """Tell that a key will be tried again after a failure."""


@dataclass
class _Silent:
    def added(self, depth: int) -> None:
        pass

    def taken(self, depth: int, waited: float) -> None:
        pass

    def retried(self) -> None:
        pass


FAIR_SHARE = 8
"""Every so many keys the one that has waited longest goes first, so that a steady stream of changes starves nobody."""


STALE = 64
"""So many entries of the heap may be stale, and as many again as are not."""


@dataclass
class Queue:
    """Keys waiting to be reconciled; for one event loop."""

    backoff: Backoff = field(default_factory=Backoff)
    observer: QueueObserver = field(default_factory=_Silent)
    clock: Callable[[], float] = time.monotonic
    _ready: tuple[OrderedDict[str, float], ...] = field(
        default_factory=lambda: tuple(OrderedDict[str, float]() for _ in Priority)
    )
    """Waiting keys and since when, one mapping per priority."""
    _active: set[str] = field(default_factory=set)
    _again: dict[str, Priority] = field(default_factory=dict)
    """Keys that were added while they were worked on."""
    _later: list[tuple[float, str, Priority]] = field(default_factory=list)
    _due: dict[str, float] = field(default_factory=dict)
    """When a key in `_later` is due; an entry of the heap that does not agree is stale."""
    _failures: dict[str, int] = field(default_factory=dict)
    _taken: int = 0
    _closed: bool = False
    _wakeup: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return sum(map(len, self._ready))

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on (what is due later does not count)."""
        return not len(self) and not self._active

    def add(self, key: str, priority: Priority = Priority.FRESH) -> None:
        """Have the key reconciled soon."""
        if self._closed:
            return
        if key in self._active:
            self._again[key] = min(priority, self._again.get(key, priority))
            return
        if any(key in waiting for waiting in self._ready[: priority + 1]):
            return
        since = next((waiting.pop(key) for waiting in self._ready[priority + 1 :] if key in waiting), None)
        self._ready[priority][key] = self.clock() if since is None else since
        if since is None:
            self.observer.added(len(self))
        self._wakeup.set()

    def add_after(self, key: str, seconds: float, priority: Priority = Priority.FRESH) -> None:
        """Have the key reconciled in so many seconds; of several such wishes the earliest counts."""
        if seconds <= 0:
            self.add(key, priority)
            return
        due = self.clock() + seconds
        if self._closed or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key, priority))
        if len(self._later) > 2 * len(self._due) + STALE:
            self._later = [item for item in self._later if self._due.get(item[1]) == item[0]]
            heapq.heapify(self._later)
        self._wakeup.set()

    def retry(self, key: str, *, at_least: float = 0.0) -> float:
        """Have a failed key reconciled after its backoff; return the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = max(self.backoff.delay(failures), at_least)
        self.observer.retried()
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: str) -> None:
        """Start the key's backoff anew."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """Wait for a key and take it; `done` must follow.

        Raises
        ------
        QueueClosedError
            Once the queue is closed, whatever still waits in it.
        """
        while True:
            if self._closed:
                raise QueueClosedError
            self._promote()
            if (key := self._next()) is not None:
                return key
            self._wakeup.clear()
            timeout = self._later[0][0] - self.clock() if self._later else None
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wakeup.wait()

    def done(self, key: str) -> None:
        """Give the key back."""
        self._active.discard(key)
        if (priority := self._again.pop(key, None)) is not None:
            self.add(key, priority)

    def close(self) -> None:
        """Give out no more keys."""
        self._closed = True
        self._wakeup.set()

    def _next(self) -> str | None:
        waiting = [keys for keys in self._ready if keys]
        if not waiting:
            return None
        fair = self._taken % FAIR_SHARE == FAIR_SHARE - 1
        chosen = min(waiting, key=lambda keys: next(iter(keys.values()))) if fair else waiting[0]
        key, since = chosen.popitem(last=False)
        self._taken += 1
        self._active.add(key)
        self.observer.taken(len(self), self.clock() - since)
        if len(self):
            self._wakeup.set()
        return key

    def _promote(self) -> None:
        """Move what is due from later to now."""
        now = self.clock()
        while self._later and self._later[0][0] <= now:
            due, key, priority = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key, priority)
