"""Leader election through a coordination.k8s.io Lease, and the gate that keeps everybody else from acting.

The algorithm is client-go's (tools/leaderelection), with two additions: the lease is released on the way out, and
leadership ends by the local clock, `renew_deadline` after the last renewal was *sent*, which is before anybody else may
take the lease. The clock counts on while the process, or the machine, is stopped: whoever wakes up after that finds the
gate shut, and its first act is to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.errors import ApiError, ConflictError, LeadershipLostError, NotFoundError
from kopf_sdk.runtime.kinds import Kind, Manifest

__all__ = ["Election", "Gate", "LeaseTimes", "boot_clock"]

LEASE = Kind("coordination.k8s.io/v1", "Lease")
STANDBY_SECONDS = 1.0
"""Longest pause between two looks of a standby: a lease that was released is taken this soon."""

log = logging.getLogger(__name__)


def boot_clock() -> float:
    """Return seconds that also pass while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True)
class LeaseTimes:
    """client-go's three durations, in seconds."""

    lease: float = 15.0
    """How long a standby waits after the last renewal it saw."""
    renew: float = 10.0
    """How long the leader acts after the last renewal it sent; less than `lease`."""
    retry: float = 2.0
    """Between two tries to get or to renew the lease; less than `renew`."""


class Gate:
    """Decides before every request whether this process may make it.

    A standby reads; the leader reads and writes until its deadline; after that nobody does anything. Without leader
    election the gate is open.
    """

    def __init__(
        self, *, elected: bool, times: LeaseTimes | None = None, clock: Callable[[], float] = boot_clock
    ) -> None:
        self._elected = elected
        self._times = times or LeaseTimes()
        self._clock = clock
        self._deadline: float | None = None
        self.lost = False

    @property
    def leading(self) -> bool:
        """Whether this process may write now."""
        return not self.lost and (not self._elected or (self._deadline is not None and self._clock() < self._deadline))

    def renewed(self, sent: float) -> None:
        """Note a renewal that was sent at that time."""
        if not self.lost:
            self._deadline = sent + self._times.renew

    def resign(self) -> None:
        """Shut the gate for writes, before the lease is released."""
        self._elected, self._deadline = True, None

    def __call__(self, writing: bool) -> float | None:
        """Admit a request; see `client.Gate`. A write may take until the lease can be taken, no longer."""
        left = self.check()
        if writing and left is None and self._elected:
            raise LeadershipLostError("this replica does not lead")
        return left if writing else None

    def check(self, writing: bool = False) -> float | None:
        """Admit what a standby may do too (reviews, the lease); return the seconds until the lease can be taken.

        Raises
        ------
        LeadershipLostError
            If this process led and its time is over.
        """
        if not self.lost and self._deadline is not None and self._clock() >= self._deadline:
            self.lost = True
        if self.lost:
            raise LeadershipLostError("the lease was not renewed in time")
        if self._deadline is None:
            return None
        return self._deadline + self._times.lease - self._times.renew - self._clock()


class Election:
    """Gets the lease, keeps it, gives it back.

    Parameters
    ----------
    client
        Not gated by `gate` but by `gate.check`.
    namespace, name
        Where the Lease is.
    identity
        Who we are; unique per process.
    """

    def __init__(
        self,
        client: Client,
        gate: Gate,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._client = client
        self._gate = gate
        self._collection = LEASE.path(namespace)
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._times = times
        self._clock = clock
        self._observed: tuple[str, str] = ("", "")
        """Holder and renewal time as last seen: as long as they change, somebody leads. Clocks are not compared."""
        self._observed_at = 0.0
        self._lease: Manifest | None = None

    async def acquire(self) -> None:
        """Return as soon as this process leads."""
        log.info("waiting for the lease %s/%s", self._namespace, self._name)
        while not await self._try():
            pause = min(self._times.retry, STANDBY_SECONDS)
            await asyncio.sleep(pause * random.uniform(0.8, 1.0))  # noqa: S311 (no secret)
        log.info("leading as %s", self._identity)

    async def hold(self) -> None:
        """Renew until it fails for too long.

        Raises
        ------
        LeadershipLostError
            Always, sooner or later: when the deadline passes, or the lease turns out to be somebody else's.
        """
        while True:
            await asyncio.sleep(self._times.retry)
            left = self._gate.check()
            # The client waits where the server asks it to; the lease does not.
            renewed = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    renewed = await self._try()
            if not renewed and self._observed[0] not in ("", self._identity):
                self._gate.lost = True
                raise LeadershipLostError(f"the lease is held by {self._observed[0]}")
            self._gate.check()

    async def release(self) -> None:
        """Let a standby have the lease at once."""
        self._gate.resign()
        try:
            if await self._given_back(self._lease):
                log.info("released the lease")
        except (ApiError, LeadershipLostError) as error:
            log.warning("the lease could not be released: %s", error)

    async def _given_back(self, lease: Manifest | None) -> bool:
        """Free the lease if it is ours; say whether it was."""
        path, seconds = f"{self._collection}/{self._name}", self._times.retry
        for _ in range(2):
            if lease is None or lease["spec"].get("holderIdentity") != self._identity:
                return False
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _micro_time()}
            try:
                await self._client.request("PUT", path, body={**lease, "spec": spec}, timeout_seconds=seconds)
                return True
            except ConflictError:
                # A renewal that was cut off on the way out may have arrived all the same.
                lease = await self._client.request("GET", path, timeout_seconds=seconds)
        return False

    async def _try(self) -> bool:
        """Get or renew the lease once; say whether we hold it."""
        sent = self._clock()
        try:
            lease = await self._write_or_observe()
        except ApiError as error:
            log.warning("leader election: %s", error)
            return False
        if lease is None:
            return False
        self._lease = lease
        self._observed = (self._identity, lease["spec"]["renewTime"])
        self._gate.renewed(sent)
        return True

    async def _write_or_observe(self) -> Manifest | None:
        """Return the lease as written by us, or None if it is another's."""
        seconds = self._times.retry if self._gate.leading else self._times.renew
        path = f"{self._collection}/{self._name}"
        lease = self._lease
        if lease is not None and self._gate.leading:
            try:
                return await self._client.request("PUT", path, body=self._claimed(lease), timeout_seconds=seconds)
            except ConflictError:
                self._lease = None  # changed behind our back: look first
        try:
            lease = await self._client.request("GET", path, timeout_seconds=seconds)
        except NotFoundError:
            fresh: Manifest = {
                "apiVersion": LEASE.api_version,
                "kind": LEASE.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": {},
            }
            try:
                return await self._client.request(
                    "POST", self._collection, body=self._claimed(fresh), timeout_seconds=seconds
                )
            except ConflictError:
                return None
        spec = lease.get("spec") or {}
        seen = (spec.get("holderIdentity") or "", spec.get("renewTime") or "")
        if seen != self._observed:
            self._observed, self._observed_at = seen, self._clock()
        holder = seen[0]
        duration = spec.get("leaseDurationSeconds") or self._times.lease
        if holder and holder != self._identity and self._clock() < self._observed_at + duration:
            return None
        try:
            return await self._client.request("PUT", path, body=self._claimed(lease), timeout_seconds=seconds)
        except ConflictError:
            return None

    def _claimed(self, lease: Manifest) -> Manifest:
        """Return the lease with us as the holder."""
        now = _micro_time()
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = (spec.get("leaseTransitions") or 0) + (
                1 if spec.get("holderIdentity") is not None else 0
            )
        spec |= {
            "holderIdentity": self._identity,
            "renewTime": now,
            "leaseDurationSeconds": math.ceil(self._times.lease),  # never less than we count on
        }
        return {**lease, "spec": spec}


def _micro_time() -> str:
    """Return the time as meta/v1 MicroTime."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
