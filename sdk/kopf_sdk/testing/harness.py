"""Run controllers inside a test, against a real API server.

The operator is the real one: the same manager, Kopf in its thread, the same caches. Only its ports are random, and it
ends with the `async with` block.

Examples
--------
>>> async def test_a_cache_gets_its_service(control_plane, namespace):  # doctest: +SKIP
...     control_plane.apply(json.dumps(crd_manifests([Cache])[0]))
...     async with running(control_plane.kubeconfig, controller, watch_namespaces=namespace):
...         control_plane.apply(CACHE.format(namespace=namespace))
...         await eventually(control_plane.get, "service", "cache", "-n", namespace)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import Controller, Manager, Settings
from kopf_sdk.runtime.webhook import Webhook

__all__ = ["eventually", "running"]

T = TypeVar("T")
READY_SECONDS = 180.0


@contextlib.asynccontextmanager
async def running(
    kubeconfig: Path, *controllers: Controller[Any], webhooks: tuple[Webhook, ...] = (), **settings: Any
) -> AsyncIterator[Manager]:
    """Run controllers in this event loop; the block starts when their caches are filled.

    Parameters
    ----------
    kubeconfig
        As whom, and where: `control_plane.kubeconfig` is the administrator's.
    settings
        Fields of `Settings`. Give `watch_namespaces`: tests share the cluster. Metrics are off, probes and webhooks
        on a random port of the loopback (`manager.ports`).

    Raises
    ------
    SdkError
        If the caches are not filled in three minutes.
    """
    defaults: dict[str, Any] = {
        "health_probe_bind_address": "127.0.0.1:0",
        "metrics_bind_address": "0",
        "webhook_bind_address": "127.0.0.1:0",
        "kubeconfig": str(kubeconfig),
    }
    manager = Manager(Settings(**(defaults | settings)), controllers, webhooks=webhooks)
    serving = asyncio.create_task(manager.serve(), name="manager")
    ready = asyncio.create_task(manager.ready.wait())
    try:
        await asyncio.wait({serving, ready}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        if not ready.done():
            raise SdkError(f"the controllers were not ready in {READY_SECONDS:.0f} s")
        yield manager
    finally:
        ready.cancel()
        manager.stop()
        await serving


async def eventually(condition: Callable[..., T], *args: Any, within: float = 60.0, poll: float = 0.05) -> T:
    """Call `condition(*args)` until it returns something true, and return that.

    It runs in a thread, so that it may call kubectl while the controllers go on. An exception counts as not yet, and is
    shown when the time (seconds) is over.

    Raises
    ------
    AssertionError
        When the time is over.
    """
    deadline = time.monotonic() + within
    while True:
        outcome: object
        try:
            result = await asyncio.to_thread(condition, *args)
            if result:
                return result
            outcome = result
        except Exception as error:
            outcome = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s; last: {outcome!r}")
        await asyncio.sleep(poll)
