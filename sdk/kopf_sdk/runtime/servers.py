"""What the process serves: probes, metrics, webhooks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.authority import Authority
from kopf_sdk.runtime.certificates import Certificate, self_signed
from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.health import Check, health_app
from kopf_sdk.runtime.metrics import Metrics
from kopf_sdk.runtime.reviews import Reviewer
from kopf_sdk.runtime.settings import Settings, address
from kopf_sdk.runtime.tasks import background
from kopf_sdk.runtime.webhook import Webhook, webhook_app

__all__ = ["Servers"]

log = logging.getLogger(__name__)


class Servers:
    """The HTTP servers of the process, as the settings want them.

    Parameters
    ----------
    settings
        Addresses, certificates, what is secured.
    client
        Asks the API server who may read the metrics, and keeps the operator's own certificates.
    namespace
        The operator's own.
    metrics, webhooks
        What is served.
    ports
        Filled with where the servers listen, by name: `health`, `metrics`, `webhook`.
    """

    def __init__(
        self,
        settings: Settings,
        client: Client,
        namespace: str,
        *,
        metrics: Metrics,
        webhooks: Sequence[Webhook],
        ports: dict[str, int],
    ) -> None:
        self._settings = settings
        self._client = client
        self._namespace = namespace
        self._metrics = metrics
        self._webhooks = webhooks
        self._ports = ports
        self._readiness: dict[str, Check] = {}

    @contextlib.asynccontextmanager
    async def serving(self, live: Mapping[str, Check], ready: Mapping[str, Check]) -> AsyncIterator[None]:
        """Serve while in the body.

        Raises
        ------
        SdkError
            When an address cannot be listened on.
        """
        settings = self._settings
        self._readiness |= ready
        async with contextlib.AsyncExitStack() as stack:
            probes = health_app(live, self._readiness)
            await stack.enter_async_context(self._site("health", probes, settings.health_probe_bind_address))
            await stack.enter_async_context(self._metrics_site())
            if self._webhooks and settings.enable_webhooks:
                await stack.enter_async_context(self._webhook_site())
            yield

    def _metrics_site(self) -> contextlib.AbstractAsyncContextManager[None]:
        settings = self._settings
        app = web.Application()
        bind = settings.metrics_bind_address
        if not settings.metrics_secure:
            app.router.add_get("/metrics", self._metrics.page)
            return self._site("metrics", app, bind)
        app.router.add_get("/metrics", Reviewer(self._client).guard(self._metrics.page))
        directory = settings.metrics_cert_dir
        certificate = Certificate(Path(directory)) if directory else self_signed("metrics")
        return self._secure_site("metrics", app, bind, certificate)

    @contextlib.asynccontextmanager
    async def _webhook_site(self) -> AsyncIterator[None]:
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            if settings.webhook_secret:
                await stack.enter_async_context(background(self._authority().run()))
            app = webhook_app(self._webhooks, self._metrics)
            certificate = Certificate(Path(settings.webhook_cert_dir))
            bind = settings.webhook_bind_address
            await stack.enter_async_context(self._secure_site("webhook", app, bind, certificate))
            yield

    def _authority(self) -> Authority:
        settings = self._settings
        host = f"{settings.webhook_service}.{self._namespace}.svc"
        return Authority(
            self._client,
            namespace=self._namespace,
            secret=settings.webhook_secret,
            names=[host, f"{host}.cluster.local"],
            configurations=[name for name in settings.webhook_configurations.split(",") if name],
            directory=Path(settings.webhook_cert_dir),
        )

    @contextlib.asynccontextmanager
    async def _secure_site(
        self, name: str, app: web.Application, bind: str, certificate: Certificate
    ) -> AsyncIterator[None]:
        """Serve over HTTPS, from when there is a certificate; until then the operator is not ready."""
        if address(bind, name) is None:
            yield
            return
        self._readiness[name] = lambda: certificate.problem or (None if name in self._ports else "not serving yet")

        async def serve() -> None:
            await certificate.wait()
            try:
                async with self._site(name, app, bind, ssl_context=certificate.context):
                    await certificate.watch()
            except SdkError as error:
                log.error("%s", error)

        if certificate.load():
            async with self._site(name, app, bind, ssl_context=certificate.context), background(certificate.watch()):
                yield
        else:
            log.warning("%s is not served yet: %s", name, certificate.problem)
            async with background(serve()):
                yield

    @contextlib.asynccontextmanager
    async def _site(self, name: str, app: web.Application, bind: str, **options: Any) -> AsyncIterator[None]:
        where = address(bind, name)
        if where is None:
            yield
            return
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, where[0] or None, where[1], reuse_address=True, **options).start()
            except OSError as error:
                raise SdkError(f"cannot serve {name} on {bind}: {error.strerror}") from error
            self._ports[name] = runner.addresses[0][1]
            yield
        finally:
            await runner.cleanup()
