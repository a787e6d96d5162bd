"""A new pod is filled when it answers nearly as many reads from its cache as its peers do, in the same time."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from memcached_operator.api.v1alpha1.pods import WarmUp
from memcached_operator.fleet import Access, Fleet
from memcached_operator.warming import Reads, Warming, is_filled
from memcached_operator.wire import Connection
from unit.operator.factory import NOW, pod, stateful_set


@pytest.mark.parametrize(
    ("new", "peers", "filled"),
    [
        (Reads(72, 28), [Reads(90, 10)], True),
        (Reads(71, 29), [Reads(90, 10)], False),
        (Reads(45, 55), [Reads(90, 10), Reads(10, 90)], True),
        (Reads(3, 0), [Reads(90, 10)], None),
        (Reads(50, 50), [Reads(3, 0)], None),
        (Reads(0, 0), [Reads(0, 0)], True),
        (Reads(0, 0), [Reads(90, 10)], None),
        (Reads(0, 30), [Reads(0, 30)], True),
    ],
)
def test_ratios_are_compared_where_there_are_enough_reads(new: Reads, peers: list[Reads], filled: bool | None) -> None:
    assert is_filled(new, peers, 80) is filled


USUAL = WarmUp()


class Counters(Fleet):
    """A fleet whose pods count what the test says."""

    def __init__(self, **reads: Reads) -> None:
        super().__init__(inside=True)
        self.reads = {name.replace("_", "-"): count for name, count in reads.items()}

    @asynccontextmanager
    async def dial(self, pod: dict[str, Any], access: Access) -> AsyncIterator[Connection]:
        counted = self.reads[pod["metadata"]["name"]]

        class Counting(Connection):
            async def stats(self, group: str = "") -> dict[str, str]:
                return {"get_hits": str(counted.hits), "get_misses": str(counted.misses)}

        yield Counting(asyncio.StreamReader(), None, 1)  # type: ignore[arg-type]  # nothing is written


async def test_a_new_pod_is_awaited_until_it_is_filled_or_its_time_is_over() -> None:
    clock = [0.0]
    warming = Warming(clock=lambda: clock[0])
    fleet = Counters(cache_0=Reads(900, 100), cache_1=Reads(0, 0))
    pods = [
        pod("cache-0", revision="old"),
        pod("cache-1", ready_since=NOW - dt.timedelta(seconds=10)),
    ]

    async def left(wanted: WarmUp | None = USUAL, now: dt.datetime = NOW) -> dict[str, float]:
        return await warming.look(
            "shop/cache", pods, stateful_set(2), wanted, fleet=fleet, access=Access(11211), now=now
        )

    assert await left(None) == {}
    assert await left() == {"cache-1": 5.0}
    clock[0] = 5
    fleet.reads = {"cache-0": Reads(990, 110), "cache-1": Reads(5, 95)}
    assert await left() == {"cache-1": 5.0}
    assert await left(now=NOW + dt.timedelta(seconds=588)) == {"cache-1": 2.0}
    assert await left(now=NOW + dt.timedelta(seconds=590)) == {}
    clock[0] = 10
    fleet.reads = {"cache-0": Reads(1080, 120), "cache-1": Reads(85, 115)}
    assert await left() == {}, "80 of the last 100 reads were hits; those before do not count"
    fleet.reads["cache-1"] = Reads(0, 0)
    clock[0] = 20
    assert await left() == {}, "filled once is filled"
