"""Whether a new pod's cache is filled again: its hit ratio against its peers', over the same time.

Only while pods are being replaced, and only where `updateStrategy.warmUp` asks for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memcached_operator.api.v1alpha1.pods import WarmUp
from memcached_operator.fleet import Access, Fleet
from memcached_operator.rollout import ready_since
from memcached_operator.template import REVISION
from memcached_operator.wire import WireError

__all__ = ["Reads", "Warming", "is_filled"]

_LOOK_AGAIN = 5.0
_ENOUGH = 20
"""Reads, on either side, below which a ratio says nothing."""


@dataclass(frozen=True)
class Reads:
    """How often memcached was asked for an item, and how often it had one."""

    hits: int
    misses: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.hits + self.misses

    def since(self, before: Reads) -> Reads:
        """Return what was added."""
        return Reads(self.hits - before.hits, self.misses - before.misses)


def is_filled(new: Reads, peers: Iterable[Reads], percent: int) -> bool | None:
    """Tell whether the new pod's hit ratio reaches that percentage of its peers'; None when there were too few reads.

    Where nobody reads anything, there is nothing to wait for.
    """
    together = Reads(0, 0)
    for peer in peers:
        together = Reads(together.hits + peer.hits, together.misses + peer.misses)
    if new.total == together.total == 0:
        return True
    if min(new.total, together.total) < _ENOUGH:
        return None
    return new.hits * together.total * 100 >= together.hits * new.total * percent


class Warming:
    """Remembers what pods had counted when they were last looked at. Shared by all reconciliations of one process.

    After a restart of the operator looking begins anew; the time that a pod may take does not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._before: dict[str, tuple[float, dict[str, Reads]]] = {}
        self._filled: dict[str, set[str]] = {}

    def gone(self, key: str) -> None:
        """Forget a resource that is no more, or has nothing to fill."""
        self._before.pop(key, None)
        self._filled.pop(key, None)

    async def look(
        self,
        key: str,
        pods: Sequence[dict[str, Any]],
        stateful_set: Mapping[str, Any] | None,
        wanted: WarmUp | None,
        *,
        fleet: Fleet,
        access: Access | None,
        now: dt.datetime,
    ) -> dict[str, float]:
        """Return the new pods of the resource `key` that are not filled yet, with the seconds until they are looked at.

        Nothing is awaited of pods that memcached cannot be asked in, beyond the time that they may take.
        """
        revision = (stateful_set or {}).get("status", {}).get("updateRevision")
        outdated = [pod for pod in pods if pod["metadata"]["labels"].get(REVISION) != revision]
        if wanted is None or not revision or not outdated:
            self.gone(key)
            return {}
        filled = self._filled.setdefault(key, set())
        left = {
            str(pod["metadata"]["name"]): wanted.timeout_seconds - (now - since).total_seconds()
            for pod in pods
            if pod not in outdated and pod["metadata"]["uid"] not in filled and (since := ready_since(pod))
        }
        left = {name: seconds for name, seconds in left.items() if seconds > 0}
        if not left:
            return {}
        began, before = self._before.get(key, (float("-inf"), {}))
        if access is not None and self._clock() - began >= _LOOK_AGAIN:
            reads = await _ask(pods, fleet, access)
            grown = {name: count.since(before[name]) for name, count in reads.items() if name in before}
            peers = [count for name, count in grown.items() if name not in left]
            verdicts = {name: is_filled(grown[name], peers, wanted.hit_ratio_percent) for name in left if name in grown}
            filled |= {pod["metadata"]["uid"] for pod in pods if verdicts.get(pod["metadata"]["name"])}
            # Too few reads: let them add up.
            if not verdicts or None not in verdicts.values() or reads.keys() != before.keys():
                self._before[key] = (self._clock(), reads)
            left = {name: seconds for name, seconds in left.items() if not verdicts.get(name)}
        return {name: min(seconds, _LOOK_AGAIN) for name, seconds in left.items()}


async def _ask(pods: Sequence[dict[str, Any]], fleet: Fleet, access: Access) -> dict[str, Reads]:
    async def reads(pod: dict[str, Any]) -> Reads | None:
        try:
            async with fleet.dial(pod, access) as memcached:
                statistics = await memcached.stats()
                return Reads(int(statistics["get_hits"]), int(statistics["get_misses"]))
        except (WireError, KeyError):
            return None

    ready = [pod for pod in pods if ready_since(pod)]
    answers = await asyncio.gather(*(reads(pod) for pod in ready))
    return {
        str(pod["metadata"]["name"]): answer for pod, answer in zip(ready, answers, strict=True) if answer is not None
    }
