"""How a manager ends, and what it measures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kopf_sdk.api import CustomResource
from kopf_sdk.runtime.cache import Source
from kopf_sdk.runtime.controller import Controller, Result
from kopf_sdk.runtime.errors import LeadershipLostError
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.manager import ExitCode, Manager
from kopf_sdk.runtime.metrics import Metrics
from kopf_sdk.runtime.reflector import WatchState
from kopf_sdk.runtime.request import Request
from kopf_sdk.runtime.settings import Settings
from kopf_sdk.runtime.webhook import Conversion, Webhook


class Widget(CustomResource, group="x.dev", version="v1"):
    pass


WIDGET = Kind.of(Widget)
CONFIG_MAP = Kind("v1", "ConfigMap")
CONVERSION = Conversion(lambda resource, version: resource)


class Election:
    def __init__(self) -> None:
        self.released = 0

    async def acquire(self) -> None:
        pass

    async def hold(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        self.released += 1


class Recorder:
    async def run(self) -> None:
        await asyncio.Event().wait()

    async def drain(self) -> None:
        pass


def manager() -> Manager:
    async def reconcile(request: Request[Widget]) -> Result | None:
        return None

    made = Manager(Settings(leader_elect=True), [Controller(Widget, reconcile)])
    nobody: Any = None
    made._build(nobody, nobody)
    made.ready.set()
    return made


async def led(made: Manager, election: Election, watching: asyncio.Task[None]) -> int:
    parts: tuple[Any, Any] = (election, Recorder())
    try:
        return await made._lead(*parts, watching)
    finally:
        watching.cancel()


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def fail_soon(error: Exception) -> None:
    await asyncio.sleep(0.01)
    raise error


async def test_the_lease_is_released_on_request_and_when_something_breaks() -> None:
    made, election = manager(), Election()
    asyncio.get_running_loop().call_later(0.01, made.stop)
    assert await led(made, election, asyncio.create_task(wait_for_ever())) == ExitCode.STOPPED
    assert election.released == 1
    made, election = manager(), Election()
    with pytest.raises(RuntimeError):
        await led(made, election, asyncio.create_task(fail_soon(RuntimeError("a bug"))))
    assert election.released == 1


async def test_a_lost_lease_is_not_touched() -> None:
    made, election = manager(), Election()
    made.gate.lost = True
    watching = asyncio.create_task(fail_soon(LeadershipLostError("too late")))
    assert await led(made, election, watching) == ExitCode.LEADERSHIP_LOST
    assert election.released == 0


def test_of_two_watches_of_a_kind_the_worse_is_shown() -> None:
    metrics = Metrics()
    silent, fine = WatchState(Kind("v1", "Secret"), None), WatchState(Kind("v1", "Secret"), None, synced=True)
    silent.touched -= 100
    metrics.watched("secrets", "", [silent, fine])
    labels = {"kind": "secrets", "namespace": ""}
    assert (metrics.registry.get_sample_value("kopf_sdk_watch_age_seconds", labels) or 0) > 99
    assert metrics.registry.get_sample_value("kopf_sdk_watch_synced", labels) == 0


@pytest.mark.parametrize(
    ("webhooks", "enabled", "filled", "ready"),
    [
        ([], True, {CONFIG_MAP}, False),
        ([CONVERSION], True, {CONFIG_MAP}, True),
        ([CONVERSION], False, {CONFIG_MAP}, False),
        ([CONVERSION], True, set(), False),
        ([], True, {CONFIG_MAP, WIDGET}, False),
    ],
)
def test_a_replica_that_converts_is_ready_before_its_resources_could_be_listed(
    webhooks: list[Webhook], enabled: bool, filled: set[Kind], ready: bool
) -> None:
    """To list what is kept in another version, the API server asks a ready replica: it would wait for itself."""

    async def reconcile(request: Request[Widget]) -> Result | None:
        return None

    controller = Controller(Widget, reconcile, owns=[CONFIG_MAP])
    made = Manager(Settings(enable_webhooks=enabled), [controller], webhooks=webhooks)
    caches = made._ready()["caches"]
    assert caches() == "waiting for the API server"
    for kind in (WIDGET, CONFIG_MAP):
        made._stores.watched(Source(kind), "").append(WatchState(kind, None, synced=kind in filled))
    assert (caches() is None) is ready
    made.ready.set()
    assert caches() is None
