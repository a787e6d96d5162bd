"""A rotation has a deadline, and where memcached never takes it over, pods are named that must be made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from memcached_operator.fleet import Access, Observation
from memcached_operator.rotating import DEADLINE, Rotations
from memcached_operator.rotation import Rotation, Wanted
from memcached_operator.wire import Login, LoginRefusedError
from unit.operator.factory import memcached, pod

ALICE = Login("alice", "a")
PODS = [pod("cache-0"), pod("cache-1")]


class Fleet:
    """Plays memcacheds: those of these pods do not know alice."""

    reachable = True

    def __init__(self) -> None:
        self.strangers = {"cache-0", "cache-1"}

    @asynccontextmanager
    async def dial(self, pod: dict[str, Any], access: Access) -> AsyncIterator[object]:
        if access.login == ALICE and pod["metadata"]["name"] in self.strangers:
            raise LoginRefusedError("user alice: CLIENT_ERROR authentication failure")
        yield object()


class Request:
    key = "shop/cache"

    def __init__(self, **spec: Any) -> None:
        self.resource = memcached(**spec)
        self.told: list[str] = []
        self.touched: list[str] = []

    def event(self, type_: str, reason: str, message: str) -> None:
        self.told.append(reason)

    async def patch(self, target: dict[str, Any], body: Any) -> None:
        self.touched.append(target["metadata"]["name"])


class Story:
    """One resource, looked at again and again."""

    def __init__(self, version: str = "1.6.45", **spec: Any) -> None:
        self.now = 0.0
        self.fleet, self.request = Fleet(), Request(**spec)
        self._version = version
        self._rotations = Rotations(clock=lambda: self.now)

    async def look(self, *, ready: int = 2, there: int = 2) -> Rotation:
        fleet: Any = self.fleet
        request: Any = self.request
        running = {item["metadata"]["name"]: Observation(self._version, 64 * 2**20) for item in PODS}
        access = Access(11211, None, ALICE)
        wanted = Wanted(valid=(ALICE,))
        return await self._rotations.look(
            request, PODS[:there], PODS[:ready], wanted, fleet=fleet, access=access, running=running
        )


async def test_it_is_pending_then_stuck_and_over_when_every_pod_was_seen_to_have_it() -> None:
    story = Story()
    first = await story.look()
    assert set(first.pending) == {"cache-0", "cache-1"}
    assert not first.stuck
    assert set(story.request.touched) == {"cache-0", "cache-1"}, "so that the kubelet brings the Secret at once"
    story.fleet.strangers = {"cache-1"}
    story.now = DEADLINE + 1
    late = await story.look()
    assert (set(late.pending), late.stuck) == ({"cache-1"}, True)
    story.fleet.strangers = set()
    assert not (await story.look()).pending
    assert story.request.told == ["Rotated"]


async def test_nothing_is_told_of_pods_that_nobody_could_try() -> None:
    story = Story()
    await story.look()
    story.fleet.strangers = set()
    for ready, there in ((0, 1), (0, 0), (1, 2)):
        await story.look(ready=ready, there=there)
        assert story.request.told == [], "a pod that is being replaced accepts nobody"
    await story.look()
    assert story.request.told == ["Rotated"]


async def test_a_memcached_that_never_reads_users_again_is_to_be_made_anew() -> None:
    assert (await Story("1.6.45").look()).stale == {}
    assert "1.6.39 reads changed users only when it starts" in (await Story("1.6.39").look()).stale["cache-0"]
    assert "without a shell" in (await Story(probes={"type": "tcp"}).look()).stale["cache-1"]
