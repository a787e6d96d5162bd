"""What the running memcached processes say of themselves.

A pod's answer changes only when its container starts again, so each is asked once per start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kopf_sdk.runtime import ApiError, Client, forwarded
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.credentials import Credentials
from memcached_operator.wire import Connection, Login, WireError, connect

__all__ = ["Access", "Fleet", "Observation", "client_context", "started"]

_TIMEOUT = 2.0
_TRY_AGAIN = 10.0
"""Seconds between two tries of a way through the API server that never led to a pod yet."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Observation:
    """One process: its version, and the memory it may use for items in bytes."""

    version: str
    item_memory: int


@dataclass(frozen=True)
class Access:
    """How the operator talks to the pods of one resource."""

    port: int
    tls: ssl.SSLContext | None = None
    login: Login | None = None
    handshake: Access | None = None
    """How to see the certificate that memcached serves, whoever signed it; None without TLS."""

    @classmethod
    def of(
        cls,
        memcached: Memcached,
        credentials: Credentials | None,
        certificate: Mapping[str, bytes] | None,
        client_certificate: Mapping[str, bytes] | None,
    ) -> Access | None:
        """Put together what the resource asks of a client; None while something of it is missing.

        Parameters
        ----------
        credentials
            Everybody who may log in, when the resource has `spec.auth`.
        certificate
            The content of its TLS Secret, when it has `spec.tls`.
        client_certificate
            The content of `tls.operatorSecretName`, when it names one.
        """
        spec = memcached.spec
        login = credentials.operator if credentials else None
        if spec.auth is not None and login is None:
            return None
        if spec.tls is None:
            return cls(spec.container_port, None, login)
        if certificate is None or (spec.tls.operator_secret_name and client_certificate is None):
            return cls(spec.container_port, None, login) if spec.tls.plain_port else None
        try:
            handshake = cls(
                spec.tls.port if spec.tls.plain_port else spec.container_port,
                client_context(certificate, client_certificate, trust_all=True),
            )
            if spec.tls.plain_port:
                return cls(spec.container_port, None, login, handshake)
            return cls(spec.container_port, client_context(certificate, client_certificate), login, handshake)
        except (ssl.SSLError, KeyError) as error:
            log.debug("%s: no TLS with these certificates: %s", memcached.metadata.name, error)
            return cls(spec.container_port, None, login) if spec.tls.plain_port else None


def client_context(
    certificate: Mapping[str, bytes], client: Mapping[str, bytes] | None, *, trust_all: bool = False
) -> ssl.SSLContext:
    """Return a context that trusts the Secret's CA (or the certificate itself, where the Secret has no CA).

    The host name is not compared: the API server says which IP a pod has, and the certificate need not name it. One
    that trusts all is for looking at a certificate, never for saying something.
    """
    trusted = certificate.get("ca.crt") or certificate["tls.crt"]
    return _context(trusted, (client["tls.crt"], client["tls.key"]) if client is not None else None, trust_all)


@lru_cache(maxsize=512)
def _context(trusted: bytes, client: tuple[bytes, bytes] | None, trust_all: bool) -> ssl.SSLContext:
    # Bundles have comments in any language and encoding; the ssl module takes ASCII.
    context = ssl.create_default_context(cadata=trusted.decode("ascii", errors="ignore"))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    if trust_all:
        context.verify_mode = ssl.CERT_NONE
    if client is not None:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads files only
            for name, content in zip(("tls.crt", "tls.key"), client, strict=True):
                (Path(folder) / name).write_bytes(content)
            context.load_cert_chain(Path(folder) / "tls.crt", Path(folder) / "tls.key")
    return context


class Fleet:
    """Remembers what the pods of all resources answered.

    Parameters
    ----------
    inside
        Whether the process runs in the cluster; by default, whether its environment says so. Outside, pods are dialled
        through the API server as soon as `through` named it. What cannot be reached is not claimed.
    clock
        Seconds, never going back.
    """

    def __init__(self, *, inside: bool | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._inside = "KUBERNETES_SERVICE_HOST" in os.environ if inside is None else inside
        self._clock = clock
        self._client: Client | None = None
        self._forwarded = False
        self._refused = float("-inf")
        self._known: dict[str, dict[tuple[str, int], Observation]] = {}

    def through(self, client: Client) -> None:
        """Reach pods through this API server where they cannot be reached directly."""
        self._client = client

    @property
    def reachable(self) -> bool:
        """Whether pods can be dialled. Outside of the cluster that is known once one was."""
        return self._inside or self._forwarded

    async def observe(self, key: str, pods: Sequence[dict[str, Any]], access: Access | None) -> dict[str, Observation]:
        """Return what the pods of the resource `key` run, by pod name; those that cannot be reached are left out."""
        if access is None or not pods or not (self.reachable or self._may_try(pods)):
            self._known.pop(key, None)
            return {}
        before = self._known.get(key, {})
        answers = await asyncio.gather(*(self._known_or_asked(pod, access, before) for pod in pods))
        found = [(pod, answer) for pod, answer in zip(pods, answers, strict=True) if answer is not None]
        self._known[key] = {started(pod): answer for pod, answer in found}
        return {pod["metadata"]["name"]: answer for pod, answer in found}

    @asynccontextmanager
    async def dial(self, pod: dict[str, Any], access: Access) -> AsyncIterator[Connection]:
        """Open a connection to the memcached of a pod. Raises WireError."""
        name, address = pod["metadata"]["name"], pod.get("status", {}).get("podIP")
        if not address:
            raise WireError(f"pod {name} has no address yet")
        options: dict[str, Any] = {"tls": access.tls, "login": access.login, "timeout": _TIMEOUT}
        if self._inside or self._client is None:
            async with connect(address, access.port, **options) as connection:
                yield connection
            return
        try:
            async with forwarded(self._client, pod["metadata"]["namespace"], name, access.port) as sock:
                self._forwarded = True
                async with connect(address, access.port, sock=sock, **options) as connection:
                    yield connection
        except ApiError as error:
            raise WireError(f"port-forward to pod {name}: {error.message}") from error

    def gone(self, key: str) -> None:
        """Forget the pods of a resource that is no more."""
        self._known.pop(key, None)

    def forget(self, key: str, pod: dict[str, Any]) -> None:
        """Ask this pod of the resource `key` again: something in its process was changed."""
        self._known.get(key, {}).pop(started(pod), None)

    def _may_try(self, pods: Sequence[dict[str, Any]]) -> bool:
        """Tell whether to try the way through the API server, which may be closed to us."""
        if self._client is None or self._clock() - self._refused < _TRY_AGAIN:
            return False
        if not any(pod["spec"].get("nodeName") for pod in pods):
            return False
        self._refused = self._clock()
        return True

    async def _known_or_asked(
        self, pod: dict[str, Any], access: Access, known: Mapping[tuple[str, int], Observation]
    ) -> Observation | None:
        if (observation := known.get(started(pod))) is not None:
            return observation
        try:
            async with self.dial(pod, access) as connection:
                settings = await connection.stats("settings")
                return Observation(await connection.version(), int(settings["maxbytes"]))
        except (WireError, KeyError) as error:
            log.info("pod %s cannot be asked: %s", pod["metadata"]["name"], error)
            return None


def started(pod: dict[str, Any]) -> tuple[str, int]:
    """Return what tells one start of a pod's container from another."""
    containers = pod.get("status", {}).get("containerStatuses", [])
    return pod["metadata"]["uid"], sum(container.get("restartCount", 0) for container in containers)
