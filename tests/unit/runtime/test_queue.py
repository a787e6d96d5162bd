"""The work queue."""

from __future__ import annotations

import asyncio

import pytest

from kopf_sdk.runtime.queue import Backoff, Priority, Queue, QueueClosedError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def drain(queue: Queue) -> list[str]:
    keys = []
    while len(queue):
        key = await queue.get()
        keys.append(key)
        queue.done(key)
    return keys


async def test_a_key_added_twice_is_one_key() -> None:
    queue = Queue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert await drain(queue) == ["a", "b"]


async def test_a_key_added_while_it_is_worked_on_comes_once_more_and_never_at_the_same_time() -> None:
    queue = Queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await drain(queue) == ["a"]


async def test_one_key_is_never_worked_on_by_two_workers() -> None:
    queue = Queue()
    active: set[str] = set()
    seen = 0

    async def work() -> None:
        nonlocal seen
        while True:
            try:
                key = await queue.get()
            except QueueClosedError:
                return
            assert key not in active
            active.add(key)
            await asyncio.sleep(0.001)
            if seen < 200:
                queue.add(key)
            seen += 1
            active.discard(key)
            queue.done(key)
            if queue.idle:
                queue.close()

    for number in range(5):
        queue.add(str(number))
    await asyncio.wait_for(asyncio.gather(*(work() for _ in range(8))), 60)
    assert seen >= 200


async def test_fresh_changes_go_before_routine_and_lift_a_waiting_routine_key() -> None:
    queue = Queue()
    queue.add("routine", Priority.ROUTINE)
    queue.add("lifted", Priority.ROUTINE)
    queue.add("fresh")
    queue.add("lifted")
    assert await drain(queue) == ["fresh", "lifted", "routine"]


async def test_what_was_changed_goes_before_what_is_new_and_lifts_it() -> None:
    queue = Queue()
    for key in ("new", "other"):
        queue.add(key)
    queue.add("drifted", Priority.URGENT)
    queue.add("other", Priority.URGENT)
    queue.add("drifted", Priority.ROUTINE)
    assert await drain(queue) == ["drifted", "other", "new"]


@pytest.mark.parametrize("steady", [Priority.URGENT, Priority.FRESH])
async def test_a_steady_stream_starves_neither_new_resources_nor_routine(steady: Priority) -> None:
    queue = Queue()
    queue.add("new")
    queue.add("routine", Priority.ROUTINE)
    for number in range(100):
        queue.add(str(number), steady)
    order: list[str] = []
    while len(queue) and len(order) < 40:
        order.append(key := await queue.get())
        queue.done(key)
        queue.add(f"and {len(order)}", steady)
    assert {"new", "routine"} < set(order)


async def test_ten_thousand_fresh_keys_do_not_starve_a_routine_one() -> None:
    queue = Queue()
    queue.add("routine", Priority.ROUTINE)
    for number in range(10_000):
        queue.add(str(number))
    order = await drain(queue)
    assert len(order) == 10_001
    assert order.index("routine") < 20


async def test_what_waits_longest_goes_first() -> None:
    queue = Queue()
    for number in range(10_000):
        queue.add(str(number))
    first = await queue.get()
    queue.done(first)
    queue.add(first)
    order = await drain(queue)
    assert order[0] == "1"
    assert order[-1] == first


async def test_later_keys_come_when_they_are_due_and_the_earliest_wish_counts() -> None:
    clock = Clock()
    queue = Queue(clock=clock)
    queue.add_after("a", 50)
    queue.add_after("a", 10)
    queue.add_after("a", 30)
    clock.now += 9
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now += 1
    queue.add("b")
    assert {await waiting, await queue.get()} == {"a", "b"}
    queue.done("a")
    queue.done("b")
    clock.now += 100
    queue.add("c")
    assert await drain(queue) == ["c"]


async def test_wishes_that_were_overtaken_are_not_kept_until_they_would_be_due() -> None:
    clock = Clock()
    queue = Queue(clock=clock)
    queue.add_after("other", 50)
    for _ in range(1000):
        queue.add_after("a", 86400)
        queue.add_after("a", 0.01)
        clock.now += 0.02
        assert await queue.get() == "a"
        queue.done("a")
    assert len(queue._later) < 100
    clock.now += 50
    assert await queue.get() == "other"


async def test_failures_wait_longer_and_longer_and_forgetting_starts_anew() -> None:
    queue = Queue(backoff=Backoff(jitter=0))
    waits = [queue.retry("a") for _ in range(5)]
    assert waits == pytest.approx([0.005, 0.01, 0.02, 0.04, 0.08])
    queue.forget("a")
    assert queue.retry("a") == pytest.approx(0.005)
    assert queue.retry("b", at_least=7) == 7


def test_backoff_ends_at_client_gos_cap_and_jitters_around_it() -> None:
    backoff = Backoff()
    waits = [backoff.delay(1000) for _ in range(200)]
    assert 900 <= min(waits) < max(waits) <= 1100


async def test_a_closed_queue_gives_out_nothing_and_takes_nothing() -> None:
    queue = Queue()
    queue.add("a")
    waiting = asyncio.create_task(asyncio.sleep(0))
    await waiting
    queue.close()
    queue.add("b")
    with pytest.raises(QueueClosedError):
        await queue.get()


async def test_closing_wakes_every_waiting_worker() -> None:
    queue = Queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(4)]
    await asyncio.sleep(0.01)
    queue.close()
    results = await asyncio.wait_for(asyncio.gather(*workers, return_exceptions=True), 60)
    assert all(isinstance(result, QueueClosedError) for result in results)


@pytest.mark.parametrize("turns", range(6))
async def test_a_worker_that_is_cancelled_as_a_key_arrives_ends(turns: int) -> None:
    queue = Queue()
    queue.add_after("later", 60)

    async def work() -> None:
        while True:
            queue.done(await queue.get())

    worker = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    queue.add("now")
    for _ in range(turns):
        await asyncio.sleep(0)
    worker.cancel()
    await asyncio.wait({worker}, timeout=1)
    assert worker.cancelled()
