"""Events for people, through events.k8s.io/v1: repeated ones become a series, and nobody is flooded."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from kopf_sdk.runtime.client import MERGE_PATCH, Client
from kopf_sdk.runtime.errors import ApiError, LeadershipLostError, NotFoundError
from kopf_sdk.runtime.kinds import Kind, Manifest

__all__ = ["Recorder"]

EVENT = Kind("events.k8s.io/v1", "Event")
SERIES_SECONDS = 360.0
"""An event repeated within this time continues the series (client-go: six minutes)."""
FLUSH_SECONDS = 60.0
"""A series is written at most this often."""
LOOKS = 12
"""Times in these seconds that all series are looked through: not after every event."""
BURST = 25.0
REFILL = 1 / 300
"""Events per second and object after the burst (client-go's spam filter)."""
REMEMBERED = 4096
NOTE_LIMIT = 1024

log = logging.getLogger(__name__)


@dataclass
class _Series:
    path: str = ""
    """Where the event is, once it is written."""
    count: int = 1
    written: int = 0
    last: float = 0.0
    flushed: float = 0.0


@dataclass
class _Bucket:
    tokens: float
    since: float


class Recorder:
    """Writes events in the background; `record` never waits and never fails."""

    def __init__(
        self, client: Client, *, controller: str, instance: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._series: OrderedDict[tuple[str, ...], _Series] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._next_flush = 0.0
        self._outbox: asyncio.Queue[tuple[tuple[str, ...], Manifest]] = asyncio.Queue(maxsize=1000)

    def record(self, about: Manifest, type_: str, reason: str, message: str, action: str) -> None:
        """Note that something happened to an object."""
        metadata = about["metadata"]
        key = (metadata["uid"], type_, reason, action, message)
        now = self._clock()
        series = self._series.get(key)
        if series is not None and now - series.last <= SERIES_SECONDS:
            series.count += 1
            series.last = now
            return
        if not self._allowed(metadata["uid"], now):
            return
        self._series[key] = _Series(last=now)
        self._series.move_to_end(key)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)
        namespace = metadata.get("namespace") or "default"
        event = {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": f"{metadata['name'][:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": _micro_time(),
            "type": type_,
            "reason": reason,
            "action": action,
            "note": message[:NOTE_LIMIT],
            "regarding": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata["uid"],
            },
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
        }
        try:
            self._outbox.put_nowait((key, event))
        except asyncio.QueueFull:
            del self._series[key]  # or it would be taken for written
            log.debug("too many events; dropped %s", reason)

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            try:
                async with asyncio.timeout(FLUSH_SECONDS):  # not wait_for: see Queue.get
                    key, event = await self._outbox.get()
            except TimeoutError:
                await self._flush()
                continue
            await self._create(key, event)
            await self._flush()

    async def drain(self) -> None:
        """Write what still waits (on the way out)."""
        while not self._outbox.empty():
            await self._create(*self._outbox.get_nowait())

    async def _create(self, key: tuple[str, ...], event: Manifest) -> None:
        path = EVENT.path(event["metadata"]["namespace"])
        try:
            await self._client.request("POST", path, body=event)
        except (ApiError, LeadershipLostError) as error:
            log.debug("event not written: %s", error)
            self._series.pop(key, None)
            return
        if (series := self._series.get(key)) is not None:
            series.path = f"{path}/{event['metadata']['name']}"
            series.written, series.flushed = 1, self._clock()

    async def _flush(self) -> None:
        now = self._clock()
        if now < self._next_flush:
            return
        self._next_flush = now + FLUSH_SECONDS / LOOKS
        due = [
            (key, series)
            for key, series in self._series.items()
            if series.path and series.count > series.written and now - series.flushed >= FLUSH_SECONDS
        ]
        for key, series in due:
            series.flushed = now
            patch = {"series": {"count": series.count, "lastObservedTime": _micro_time()}}
            try:
                await self._client.request("PATCH", series.path, body=patch, content_type=MERGE_PATCH)
                series.written = series.count
            except NotFoundError:
                self._series.pop(key, None)
            except (ApiError, LeadershipLostError) as error:
                log.debug("event series not written: %s", error)

    def _allowed(self, uid: str, now: float) -> bool:
        bucket = self._buckets.setdefault(uid, _Bucket(BURST, now))
        self._buckets.move_to_end(uid)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        bucket.tokens = min(BURST, bucket.tokens + (now - bucket.since) * REFILL)
        bucket.since = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _micro_time() -> str:
    """Return the time as meta/v1 MicroTime."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
