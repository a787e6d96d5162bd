"""Tries the pods after a certificate or the users changed, and hurries the kubelet until all have taken it over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kopf_sdk.runtime import Request
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.fleet import Access, Fleet, Observation, started
from memcached_operator.rotation import Rotation, Seen, Wanted, missing, reloads_users, told
from memcached_operator.wire import Login, LoginRefusedError, WireError

__all__ = ["DEADLINE", "Rotations"]

DEADLINE = 180.0
"""Seconds: the kubelet needs up to 90 to bring a changed Secret when it is not hurried, the probe then 5."""
_LOOK_AGAIN = 1.0
_FORGET = 0.1
"""Seconds until the revoked users, whom nobody accepts any more, are left out of the Secret."""
_HURRY = (0.0, 3.0, 10.0, 30.0, 60.0)
"""Seconds after the beginning at which the pods are touched: the kubelet brings a pod's Secrets whenever it changes."""
_TOUCHED = "cache.example.com/secrets"


@dataclass
class _UnderWay:
    """One rotation that was seen to be unfinished."""

    digest: str
    since: float
    hurried: int = 0


class Rotations:
    """Shared by all reconciliations of one process. What it remembers is found out again after a restart.

    Parameters
    ----------
    clock
        Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._done: dict[str, dict[tuple[str, int], str]] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._settled: dict[str, tuple[tuple[Login, ...], tuple[Login, ...]]] = {}

    def settled(self, key: str, valid: tuple[Login, ...], revoked: tuple[Login, ...]) -> bool:
        """Tell whether all pods of the resource `key` were seen to refuse the revoked users: they can be forgotten."""
        return self._settled.get(key) == (valid, revoked)

    def gone(self, key: str) -> None:
        """Forget a resource that is no more."""
        for known in (self._done, self._under_way, self._settled):
            known.pop(key, None)

    async def look(
        self,
        request: Request[Memcached],
        pods: Sequence[dict[str, Any]],
        ready: Sequence[dict[str, Any]],
        wanted: Wanted,
        *,
        fleet: Fleet,
        access: Access | None,
        running: Mapping[str, Observation],
    ) -> Rotation:
        """Try the pods that serve and were not yet seen to have what is wanted.

        Parameters
        ----------
        pods
            All pods of the resource.
        ready
            Those that serve.
        access
            How to talk to them; with another login for everybody who is tried.
        running
            What they run.
        """
        key, digest = request.key, wanted.digest
        if not fleet.reachable or access is None:
            self._under_way.pop(key, None)
            return Rotation()
        done = self._done.get(key, {})
        untried = [pod for pod in ready if done.get(started(pod)) != digest]
        found = await asyncio.gather(*(_try(fleet, pod, wanted, access) for pod in untried))
        seen = {pod["metadata"]["name"]: one for pod, one in zip(untried, found, strict=True)}
        pending = {name: words for name, one in seen.items() if (words := missing(wanted, one))}
        fine = [pod for pod in ready if pod["metadata"]["name"] not in pending]
        self._done[key] = {started(pod): digest for pod in fine}
        if len(fine) == len(pods):
            self._settled[key] = (wanted.valid, wanted.revoked)
        if not pending:
            # Nothing is told of a pod that is being replaced before its successor was seen.
            if fine and len(fine) == len(pods) and self._under_way.pop(key, None) is not None:
                request.event("Normal", "Rotated", told(wanted))
            return Rotation(wait=_FORGET if wanted.revoked and len(fine) == len(pods) else 0)

        now = self._clock()
        under_way = self._under_way.get(key)
        if under_way is None or under_way.digest != digest:
            under_way = self._under_way[key] = _UnderWay(digest, now)
        elapsed = now - under_way.since
        if not request.resource.spec.paused:
            behind = [pod for pod in untried if pod["metadata"]["name"] in pending]
            await self._hurry(request, behind, under_way, elapsed)
        return Rotation(
            pending,
            stale=_stale(request.resource, seen, running),
            stuck=elapsed > DEADLINE,
            wait=_LOOK_AGAIN if elapsed < DEADLINE else 10 * _LOOK_AGAIN,
        )

    async def _hurry(
        self, request: Request[Memcached], pods: Sequence[dict[str, Any]], under_way: _UnderWay, elapsed: float
    ) -> None:
        due = sum(moment <= elapsed for moment in _HURRY)
        if due <= under_way.hurried:
            return
        under_way.hurried = due
        mark = f"{under_way.digest}-{due}"
        await asyncio.gather(*(request.patch(pod, {"metadata": {"annotations": {_TOUCHED: mark}}}) for pod in pods))


def _stale(memcached: Memcached, seen: Mapping[str, Seen], running: Mapping[str, Observation]) -> dict[str, str]:
    """Return the pods whose memcached never takes over changed users while it runs, with the reason."""
    found: dict[str, str] = {}
    for name, one in seen.items():
        version = running[name].version if name in running else ""
        if not one.users_pending:
            continue
        if memcached.spec.probes.type == "tcp":
            found[name] = "without a shell in the image, changed users are read by a new pod only"
        elif version and not reloads_users(version):
            found[name] = f"memcached {version} reads changed users only when it starts"
    return found


async def _try(fleet: Fleet, pod: dict[str, Any], wanted: Wanted, access: Access) -> Seen:
    certificate, refused, accepted = None, [], []
    try:
        if access.handshake and wanted.certificate:
            certificate = await _served(fleet, pod, access.handshake)
        if missing(replace(wanted, valid=(), revoked=()), Seen(certificate)):
            await _reload(fleet, pod, access)
        refused = [login.user for login in wanted.valid if not await _accepts(fleet, pod, access, login)]
        accepted = [login.user for login in wanted.revoked if await _accepts(fleet, pod, access, login)]
    except WireError as error:
        return Seen(certificate, unreachable=str(error))
    return Seen(certificate, tuple(refused), tuple(accepted))


async def _served(fleet: Fleet, pod: dict[str, Any], handshake: Access) -> bytes | None:
    async with fleet.dial(pod, handshake) as connection:
        return connection.certificate


async def _accepts(fleet: Fleet, pod: dict[str, Any], access: Access, login: Login) -> bool:
    try:
        async with fleet.dial(pod, replace(access, login=login)):
            return True
    except LoginRefusedError:
        return False


async def _reload(fleet: Fleet, pod: dict[str, Any], access: Access) -> None:
    """Have the certificate read again; harmless as long as the kubelet has not brought the new one.

    An image without a shell has nobody else to do it.
    """
    async with fleet.dial(pod, access) as connection:
        await connection.command("refresh_certs")
