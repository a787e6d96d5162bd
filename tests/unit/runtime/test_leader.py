"""The gate of leader election, and the election against a lease in memory."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from kopf_sdk.runtime.errors import ConflictError, LeadershipLostError, NotFoundError, UnreachableError
from kopf_sdk.runtime.leader import Election, Gate, LeaseTimes

TIMES = LeaseTimes(lease=15, renew=10, retry=0.001)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class LeaseServer:
    """The one Lease, with the API server's optimistic locking."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.reachable = True
        self.requests = 0

    async def request(self, method: str, path: str, *, body: Any = None, timeout_seconds: float = 0) -> dict[str, Any]:
        self.requests += 1
        if not self.reachable:
            raise UnreachableError("no answer")
        if method == "GET":
            if self.lease is None:
                raise NotFoundError("no lease", status=404)
        elif method == "POST" and self.lease is not None:
            raise ConflictError("exists", status=409)
        else:
            version = int(self.lease["metadata"]["resourceVersion"]) if self.lease else 0
            if self.lease and body["metadata"].get("resourceVersion") != str(version):
                raise ConflictError("changed", status=409)
            self.lease = copy.deepcopy(body)
            self.lease["metadata"]["resourceVersion"] = str(version + 1)
        assert self.lease is not None
        return copy.deepcopy(self.lease)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


def replica(server: LeaseServer, clock: Clock, identity: str) -> tuple[Election, Gate]:
    gate = Gate(elected=True, times=TIMES, clock=clock)
    election = Election(
        server,  # type: ignore[arg-type]
        gate,
        namespace="ns",
        name="it",
        identity=identity,
        times=TIMES,
        clock=clock,
    )
    return election, gate


def test_a_standby_reads_and_does_not_write() -> None:
    gate = Gate(elected=True, times=TIMES, clock=Clock())
    assert gate(False) is None
    with pytest.raises(LeadershipLostError):
        gate(True)
    assert not gate.lost


def test_a_leader_writes_until_its_deadline_and_then_nothing_at_all_for_ever() -> None:
    clock = Clock()
    gate = Gate(elected=True, times=TIMES, clock=clock)
    gate.renewed(clock())
    clock.now += 9
    assert gate.leading
    # A write may take until somebody else may hold the lease.
    assert gate(True) == pytest.approx(6)
    clock.now += 1.1
    for writing in (False, True):
        with pytest.raises(LeadershipLostError):
            gate(writing)
    with pytest.raises(LeadershipLostError):
        gate.check()
    gate.renewed(clock())
    assert not gate.leading


def test_without_election_everything_is_open() -> None:
    gate = Gate(elected=False)
    assert gate.leading
    assert gate(True) is None


async def test_one_of_two_leads_and_the_other_follows_when_it_releases() -> None:
    server, clock = LeaseServer(), Clock()
    (first, first_gate), (second, second_gate) = replica(server, clock, "first"), replica(server, clock, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.02)
    assert (server.holder, first_gate.leading, second_gate.leading) == ("first", True, False)
    await first.release()
    assert not first_gate.leading
    await asyncio.wait_for(waiting, 60)
    assert (server.holder, second_gate.leading) == ("second", True)
    assert server.lease is not None
    assert server.lease["spec"]["leaseTransitions"] == 1


async def test_a_silent_leader_is_followed_after_its_lease_by_the_followers_clock() -> None:
    server, clock = LeaseServer(), Clock()
    (first, first_gate), (second, second_gate) = replica(server, clock, "first"), replica(server, clock, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.02)
    clock.now += 10.5
    await asyncio.sleep(0.02)
    assert not waiting.done()
    assert not first_gate.leading
    clock.now += 5
    await asyncio.wait_for(waiting, 60)
    assert second_gate.leading


async def test_who_wakes_up_too_late_asks_nobody() -> None:
    server, clock = LeaseServer(), Clock()
    first, _ = replica(server, clock, "first")
    await first.acquire()
    clock.now += 60
    before = server.requests
    with pytest.raises(LeadershipLostError):
        await first.hold()
    assert server.requests == before


async def test_who_cannot_renew_stops() -> None:
    server, clock = LeaseServer(), Clock()
    first, gate = replica(server, clock, "first")
    await first.acquire()
    server.reachable = False
    holding = asyncio.create_task(first.hold())
    await asyncio.sleep(0.02)
    assert not holding.done()
    clock.now += 10.1
    with pytest.raises(LeadershipLostError):
        await asyncio.wait_for(holding, 60)
    assert gate.lost


async def test_a_lease_that_was_taken_away_ends_leadership_at_once() -> None:
    server, clock = LeaseServer(), Clock()
    first, gate = replica(server, clock, "first")
    await first.acquire()
    assert server.lease is not None
    server.lease["spec"]["holderIdentity"] = "thief"
    server.lease["metadata"]["resourceVersion"] = "99"
    with pytest.raises(LeadershipLostError, match="thief"):
        await asyncio.wait_for(first.hold(), 60)
    assert gate.lost


async def test_a_lease_is_released_although_the_last_renewal_was_cut_off() -> None:
    server, clock = LeaseServer(), Clock()
    first, _ = replica(server, clock, "first")
    await first.acquire()
    assert server.lease is not None
    server.lease["metadata"]["resourceVersion"] = "7"  # the renewal arrived, its answer did not
    await first.release()
    assert server.holder == ""
    assert server.lease["metadata"]["resourceVersion"] == "8"
    server.lease["spec"]["holderIdentity"] = "second"
    server.lease["metadata"]["resourceVersion"] = "9"
    await first.release()
    assert server.holder == "second"


async def test_the_lease_says_no_less_than_the_leader_counts_on() -> None:
    server, clock = LeaseServer(), Clock()
    first, _ = replica(server, clock, "first")
    first._times = LeaseTimes(lease=10.4, renew=10.2, retry=1)
    await first.acquire()
    assert server.lease is not None
    assert server.lease["spec"]["leaseDurationSeconds"] == 11


async def test_a_renewal_that_hangs_does_not_hold_up_the_end() -> None:
    class Hanging(LeaseServer):
        hangs = False

        async def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
            if self.hangs:
                await asyncio.Event().wait()
            return await super().request(method, path, **options)

    server = Hanging()
    times = LeaseTimes(lease=0.2, renew=0.1, retry=0.01)
    gate = Gate(elected=True, times=times)
    election = Election(server, gate, namespace="ns", name="it", identity="first", times=times)  # type: ignore[arg-type]
    await election.acquire()
    server.hangs = True
    with pytest.raises(LeadershipLostError):
        await asyncio.wait_for(election.hold(), 2)
    assert gate.lost


async def test_a_successor_outlives_a_renewal_that_fails() -> None:
    server, clock = LeaseServer(), Clock()
    (first, _), (second, gate) = replica(server, clock, "first"), replica(server, clock, "second")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(0.02)
    clock.now += 16
    await asyncio.wait_for(waiting, 1)
    holding = asyncio.create_task(second.hold())
    server.reachable = False
    await asyncio.sleep(0.02)
    server.reachable = True
    clock.now += 5
    await asyncio.sleep(0.02)
    clock.now += 8
    assert not holding.done()
    assert gate.leading
    holding.cancel()
