"""A thin client of the Kubernetes API: one session, decoded JSON in and out, errors by their meaning.

Credentials and TLS come from `kubernetes.aio.config`; the generated client is left out, because it costs twice the CPU
per request. Every request passes the gate of leader election, so that a leader that lost its lease is silent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client import Configuration
from pydantic_core import from_json, to_json

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.errors import ApiError, ServerError, TooManyRequestsError, UnauthorizedError, UnreachableError
from kopf_sdk.runtime.kinds import Manifest

__all__ = ["Client", "Connection", "Gate", "Observer"]

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

UNCHECKED = {"fieldValidation": "Ignore"}
"""Parameter of a write: without it the server decodes the body a second time, for warnings that nobody reads. Fields
that a schema does not have are refused in an apply, and dropped in a merge patch, either way."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
READS = frozenset({"GET", "HEAD"})
ATTEMPTS = 3
LONGEST_WAIT = 10.0
"""Seconds that a request waits inside the client for a server that asked for patience; more is the queue's business."""

Observer = Callable[[str, str], None]
"""Is told the method and the status code (or `<error>`) of every request."""
Gate = Callable[[bool], float | None]
"""Is asked before every request whether it may start: `gate(writing)` returns the seconds it may take at most
(None: no limit of the gate's), or raises LeadershipLostError."""


@dataclass
class Connection:
    """Where the API server is and as whom to talk to it."""

    server: str
    namespace: str
    """The namespace of the service account, or of the kubeconfig's context."""
    configuration: Configuration = field(repr=False)

    @classmethod
    async def load(cls, kubeconfig: str | None = None, context: str | None = None) -> Connection:
        """Take the given kubeconfig, else the pod's service account, else $KUBECONFIG or ~/.kube/config.

        Raises
        ------
        SdkError
            If none of them can be used.
        """
        configuration = Configuration()
        in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").exists()
        try:
            if in_cluster and not kubeconfig:
                kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
            else:
                await kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call]
                    config_file=kubeconfig, context=context, client_configuration=configuration
                )
                namespace = _context_namespace(kubeconfig, context)
        except (kubernetes_config.ConfigException, OSError, yaml.YAMLError) as error:
            raise SdkError(
                f"no way to the API server: {error}",
                hint="Set KUBECONFIG (or --kubeconfig) to a readable file, or run in a pod with a service account.",
            ) from error
        return cls(configuration.host.rstrip("/"), os.environ.get("POD_NAMESPACE") or namespace, configuration)

    def ssl_context(self) -> ssl.SSLContext | bool:
        """Return TLS settings: the cluster's CA and, where there is one, the client certificate."""
        if not self.server.startswith("https"):
            return False
        context = ssl.create_default_context(cafile=self.configuration.ssl_ca_cert)
        if not self.configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.configuration.cert_file:
            context.load_cert_chain(self.configuration.cert_file, self.configuration.key_file)
        return context

    async def authorization(self) -> dict[str, str]:
        """Return the credentials' header; projected tokens are read again every minute.

        Raises
        ------
        UnreachableError
            If they cannot be read now.
        """
        try:
            settings: Mapping[str, Any] = await self.configuration.auth_settings()
        except (kubernetes_config.ConfigException, OSError) as error:
            raise UnreachableError(f"no credentials: {error}") from error
        return {auth["key"]: auth["value"] for auth in settings.values() if auth.get("in") == "header"}

    def session(self, *, limit: int) -> aiohttp.ClientSession:
        """Open a session; `limit` is the number of connections at a time, 0 for any."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=self.ssl_context()),
            proxy=self.configuration.proxy,
            auto_decompress=True,
            headers={"User-Agent": "kopf-sdk"},
        )


class Client:
    """Speaks to the API server for everybody in the process but Kopf.

    Parameters
    ----------
    connection
        The server and the credentials.
    gate
        Asked before every request; see `Gate`.
    observer
        Told of every answer; see `Observer`.
    timeout
        Seconds that a request may take, connecting included.
    """

    def __init__(
        self, connection: Connection, *, gate: Gate | None = None, observer: Observer | None = None, timeout: float = 30
    ) -> None:
        self.connection = connection
        self.gate: Gate = gate or (lambda writing: None)
        self.observer: Observer = observer or (lambda method, code: None)
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._session = self.connection.session(limit=64)
        self._streams = self.connection.session(limit=0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for session in (self._session, self._streams):
            if session is not None:
                await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        timeout_seconds: float | None = None,
    ) -> Manifest:
        """Send one request and return the decoded answer.

        A server that asks for patience (429, 503 with Retry-After) gets it for a few seconds; a failed read is tried
        again. A failed write is not: only the caller knows what it meant.

        Raises
        ------
        ApiError
            The subclass says what the answer means.
        LeadershipLostError
            If the gate is closed; nothing was sent.
        """
        data = to_json(body) if body is not None else None
        headers = {"Accept": accept}
        if data is not None:
            headers["Content-Type"] = content_type
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._send(
                    method, path, params=params, data=data, headers=headers, seconds=timeout_seconds or self._timeout
                )
            except ApiError as error:
                wait = _patience(error, method, attempt)
                if wait is None:
                    raise
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Manifest:
        assert self._session is not None, "the client is used as an async context manager"
        credentials = await self.connection.authorization()
        limit = self.gate(method not in READS)
        try:
            async with self._session.request(
                method,
                self.connection.server + path,
                params=params,
                data=data,
                headers={**headers, **credentials},
                timeout=aiohttp.ClientTimeout(total=min(seconds, limit) if limit is not None else seconds),
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.observer(method, "<error>")
            raise UnreachableError(f"{method} {path}: {error or type(error).__name__}") from error
        self.observer(method, str(response.status))
        try:
            decoded = from_json(raw) if raw else {}
        except ValueError:
            decoded = raw.decode(errors="replace")
        if response.status >= 300 or not isinstance(decoded, dict):
            raise ApiError.of(response.status, decoded, response.headers)
        return decoded

    async def stream(
        self, path: str, *, params: Mapping[str, str], accept: str = "application/json", silence: float
    ) -> AsyncIterator[bytes]:
        """Watch: yield the answer line by line until the server ends it, or falls silent.

        Parameters
        ----------
        silence
            Seconds without a byte after which the watch ends: the connection may be dead, or the kind one that the
            server sends no bookmarks for (events).

        Raises
        ------
        ApiError
            If the watch is refused or breaks.
        """
        assert self._streams is not None, "the client is used as an async context manager"
        credentials = await self.connection.authorization()
        self.gate(False)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        answered = False
        try:
            async with self._streams.get(
                self.connection.server + path,
                params={**params, "watch": "true"},
                headers={"Accept": accept, **credentials},
                timeout=timeout,
            ) as response:
                self.observer("GET", str(response.status))
                if response.status >= 300:
                    raise ApiError.of(response.status, _decoded(await response.read()), response.headers)
                answered = True
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if answered and isinstance(error, aiohttp.SocketTimeoutError):
                return
            raise UnreachableError(f"watch {path}: {error or type(error).__name__}") from error

    @contextlib.asynccontextmanager
    async def websocket(
        self, path: str, *, params: Mapping[str, str], protocol: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a websocket to a subresource that speaks `protocol`.

        Raises
        ------
        ApiError
            If it is refused.
        """
        assert self._streams is not None, "the client is used as an async context manager"
        credentials = await self.connection.authorization()
        limit = self.gate(True)
        url = self.connection.server + path
        try:
            async with asyncio.timeout(self._timeout if limit is None else min(limit, self._timeout)):
                channel = await self._streams.ws_connect(url, params=params, protocols=[protocol], headers=credentials)
        except aiohttp.WSServerHandshakeError as error:
            self.observer("GET", str(error.status))
            raise ApiError.of(error.status, f"{path}: {error.message}", {}) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.observer("GET", "<error>")
            raise UnreachableError(f"{path}: {error or type(error).__name__}") from error
        self.observer("GET", "101")
        async with channel:
            yield channel


def _patience(error: ApiError, method: str, attempt: int) -> float | None:
    """Return the seconds to wait before the same request is sent again, or None to give up."""
    if attempt == ATTEMPTS:
        return None
    if isinstance(error, TooManyRequestsError) or (isinstance(error, ServerError) and error.retry_after is not None):
        wait = error.retry_after if error.retry_after is not None else float(attempt)
        return wait if wait <= LONGEST_WAIT else None
    if isinstance(error, UnauthorizedError) and attempt == 1:
        return 0.0  # the token may just have been rotated
    if isinstance(error, ServerError) and method in READS:
        return 0.2 * attempt
    return None


def _decoded(raw: bytes) -> Any:
    try:
        return from_json(raw)
    except ValueError:
        return raw.decode(errors="replace")


def _context_namespace(kubeconfig: str | None, context: str | None) -> str:
    """Return the namespace of the kubeconfig's current context."""
    contexts, current = kubernetes_config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
        config_file=kubeconfig
    )
    chosen = next((c for c in contexts if c["name"] == context), current) if context else current
    return str(chosen["context"].get("namespace") or "default")
