"""Items handed over between real memcached processes, with clients at work all the time."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack

from integration.operator.memcached_process import Memcached, running
from memcached_operator.handover.homeward import Homeward, Kept
from memcached_operator.handover.meta import Endpoint, Item, open_session
from memcached_operator.handover.outward import Outward
from memcached_operator.handover.pace import Pace
from memcached_operator.wire import Connection, WireError, connect
from ports import free_port

FAST = 10**9
KEYS = 30_000


def endpoint(memcached: Memcached) -> Endpoint:
    return Endpoint("127.0.0.1", memcached.port)


class Handover:
    """Three processes, and the two copies between them."""

    def __init__(self, source: Memcached, spare: Memcached, target_port: int, rate: float = FAST) -> None:
        self.source, self.spare = source, spare
        self.exact = asyncio.Event()
        target = Endpoint("127.0.0.1", target_port)
        self.out = Outward(endpoint(source), endpoint(spare), Pace(rate), self._tell)

        async def targets() -> list[Endpoint]:
            return [target]

        self.home = Homeward(endpoint(spare), targets, Pace(rate))

    def _tell(self, exact: bool) -> None:
        (self.exact.set if exact else self.exact.clear)()

    async def run(self) -> Kept:
        await self.out.run()
        return await self.home.run()


async def fill(where: Endpoint, items: list[Item]) -> None:
    async with open_session(where) as session:
        for start in range(0, len(items), 500):
            answers = await session.store(items[start : start + 500], with_cas=False)
            assert all(isinstance(answer, int) for answer in answers), answers


async def fetch(where: Endpoint, keys: list[bytes]) -> dict[bytes, Item]:
    async with open_session(where) as session:
        found = [item for start in range(0, len(keys), 500) for item in await session.fetch(keys[start : start + 500])]
    return {item.key: item for item in found if item is not None}


async def test_thirty_thousand_items_are_there_again_within_seconds_and_as_they_were() -> None:
    items = [Item(b"key-%d" % number, False, b"v%d" % number * 20, number, None, 0) for number in range(30_000)]
    odd = [
        Item(b"large", False, os.urandom(2**20 - 200), 7, 3600, 0),
        Item(b"empty", False, b"", 2**32 - 1, 60 * 24 * 3600, 0),
        Item(b"\x00 \r\n\xff", True, b"a\r\nb", 1, 900, 0),
        Item(b"aGVsbG8=", False, b"looks like base64", 0, None, 0),
        Item(b"text", True, b"a binary key of letters", 0, None, 0),
        Item("schlüssel".encode(), False, b"utf-8", 0, None, 0),
        Item(b"k" * 250, False, b"the longest key", 0, 120, 0),
        Item(b"soon-gone", False, b"x", 0, 1, 0),
    ]
    with ExitStack() as stack:
        source, spare = (stack.enter_context(running()) for _ in range(2))
        await fill(endpoint(source), items + odd)
        looked = time.monotonic()
        before = await fetch(endpoint(source), [item.key for item in odd + items])
        seen = time.monotonic()
        port = free_port()
        handover = Handover(source, spare, port)
        started = time.monotonic()
        task = asyncio.create_task(handover.run())
        await asyncio.wait_for(handover.exact.wait(), 120)
        source.stop()
        target = stack.enter_context(running(port=port))
        kept = await asyncio.wait_for(task, 120)
        seconds = time.monotonic() - started
        print(f"{kept} in {seconds:.1f} s")
        least = time.monotonic() - seen
        after = await fetch(endpoint(target), [item.key for item in odd + items])
        most = time.monotonic() - looked
    assert seconds < 60, "3 s on a machine that has nothing else to do"
    assert set(before) - set(after) <= {b"soon-gone"}
    assert b"soon-gone" not in after
    for key, item in after.items():
        was = before[key]
        assert (item.value, item.flags, item.binary, item.cas) == (was.value, was.flags, was.binary, was.cas), key
        if was.ttl is None:
            assert item.ttl is None, key
        else:
            assert least - 3 <= was.ttl - (item.ttl or 0) <= most + 3, key  # whole seconds, three times
    assert (kept.copied, kept.withheld, kept.refused) == (len(after), 0, 0)


async def test_a_memcached_that_does_not_answer_for_a_while_is_copied_from_again() -> None:
    """A busy node: given up at once, the pod would be replaced with an empty cache."""
    items = [Item(b"key-%d" % number, False, b"v" * 1000, 0, None, 0) for number in range(8_000)]
    with ExitStack() as stack:
        source, spare = (stack.enter_context(running()) for _ in range(2))
        await fill(endpoint(source), items)
        handover = Handover(source, spare, port := free_port(), rate=3 * 10**6)
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            task = group.create_task(handover.run())
            await asyncio.sleep(1)
            assert not handover.exact.is_set()
            source.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(6)
            source.process.send_signal(signal.SIGCONT)
            async with open_session(endpoint(source)) as session:
                await session.delete([b"key-0", b"key-1"])
            await handover.exact.wait()
            await asyncio.to_thread(source.stop)
            target = await asyncio.to_thread(stack.enter_context, running(port=port))
            await task
        found = await fetch(endpoint(target), [item.key for item in items])
    assert set(found) == {item.key for item in items[2:]}


async def test_a_new_memcached_that_does_not_answer_for_a_while_gets_its_items_all_the_same() -> None:
    items = [Item(b"key-%d" % number, False, b"v" * 1000, 0, None, 0) for number in range(6_000)]
    with ExitStack() as stack:
        source, spare = (stack.enter_context(running()) for _ in range(2))
        await fill(endpoint(source), items)
        handover = Handover(source, spare, port := free_port(), rate=2 * 10**6)
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            task = group.create_task(handover.run())
            await handover.exact.wait()
            await asyncio.to_thread(source.stop)
            target = await asyncio.to_thread(stack.enter_context, running(port=port))
            await asyncio.sleep(1)
            target.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(12)
            assert not task.done()
            target.process.send_signal(signal.SIGCONT)
            kept = await task
    assert kept.copied == len(items)


class Clients:
    """One client that stores, deletes and reads without pause, and knows what every key may hold afterwards."""

    def __init__(self, dial: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._dial = dial
        self._random = random.Random(7)
        self.allowed: dict[bytes, set[bytes | None]] = {}
        self.operations = 0
        self.stopping = False

    def stored(self, items: list[Item]) -> None:
        self.allowed = {item.key: {item.value} for item in items}
        self._keys = list(self.allowed)

    async def work(self, *, reads: float = 0.2) -> None:
        """Go on until `stopping`; connect again whenever the server is gone."""
        while not self.stopping:
            try:
                async with self._dial() as connection:
                    while not self.stopping:
                        await self._one(connection, reads)
                        await asyncio.sleep(0.001)  # the copy is made by this process, too
            except WireError:
                await asyncio.sleep(0.3)  # as clients do with a server that is away

    async def _one(self, connection: Connection, reads: float) -> None:
        key = self._random.choice(self._keys)
        what = self._random.random()
        self.operations += 1
        if what < reads:
            if await connection.command(f"mg {key.decode()} s") == "EN" and None not in self.allowed[key]:
                value = next(iter(self.allowed[key]))  # read from the source of truth, as applications do
                assert value is not None
                await connection.command(f"set {key.decode()} 0 0 {len(value)}\r\n{value.decode()}")
                self.allowed[key] = {value}
            return
        value = None if what > 1 - (1 - reads) / 3 else b"new-%d" % self.operations
        self.allowed[key] |= {value}  # until the answer is here, both are right
        if value is None:
            await connection.command(f"delete {key.decode()}")
        else:
            answer = await connection.command(f"set {key.decode()} 0 0 {len(value)}\r\n{value.decode()}")
            assert answer == "STORED"
        self.allowed[key] = {value}

    def check(self, found: dict[bytes, Item]) -> tuple[int, int]:
        """Return how many items there should be and how many are. None may be older than what was stored last."""
        wrong = [
            (key, found[key].value, allowed)
            for key, allowed in self.allowed.items()
            if key in found and found[key].value not in allowed
        ]
        assert not wrong, f"{len(wrong)} keys hold what they should not: {wrong[:5]}"
        expected = [key for key, values in self.allowed.items() if None not in values]
        return len(expected), sum(key in found for key in expected)


async def test_nothing_newer_is_overwritten_and_nothing_deleted_comes_back_while_clients_work() -> None:
    items = [Item(b"key-%d" % number, False, b"old-%d" % number, 0, None, 0) for number in range(KEYS)]
    with ExitStack() as stack:
        source, spare = (stack.enter_context(running()) for _ in range(2))
        await fill(endpoint(source), items)
        clients = [Clients(lambda: connect("127.0.0.1", source.port, timeout=2)) for _ in range(2)]
        for number, client in enumerate(clients):
            client.stored(items[number::2])
        handover = Handover(source, spare, source.port)
        async with asyncio.timeout(300), asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.work())
            task = group.create_task(handover.run())
            try:
                await handover.exact.wait()
                await asyncio.sleep(0.5)
                await asyncio.to_thread(source.stop)
                during = sum(client.operations for client in clients)
                target = await asyncio.to_thread(stack.enter_context, running(port=source.port))
                kept = await task
                await asyncio.sleep(0.2)
            finally:
                for client in clients:
                    client.stopping = True
        found = await fetch(endpoint(target), [item.key for item in items])
    expected, there = map(sum, zip(*(client.check(found) for client in clients), strict=True))
    operations = sum(client.operations for client in clients)
    print(f"{there} of {expected}; {kept}; {during} operations before, {operations - during} after")
    assert min(operations - during, during) > 300
    assert there >= 0.999 * expected
