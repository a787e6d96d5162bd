"""A certificate authority of the operator's own, for webhooks to which nobody else gives a certificate.

CA and serving certificate live in one Secret. Every replica reads it, writes the certificate to the directory that the
webhook server loads from, and the CA into `caBundle` of the operator's own configurations. Whoever comes first renews:
the Secret's resourceVersion decides, so no leader is needed, and a replica that dies in the middle leaves nothing that
another one does not finish.

A CA is replaced in three steps, each a state of the Secret: both CAs trusted, the old certificate served; both trusted,
the new one served; the new CA alone. Between two steps every API server and every replica has time to catch up, so
there is no moment at which one serves what another does not trust.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.errors import ApiError, ConflictError, LeadershipLostError, NotFoundError
from kopf_sdk.runtime.keys import Certificates, Lifetimes, advanced
from kopf_sdk.runtime.kinds import Manifest

__all__ = ["Authority"]

POLL_SECONDS = 10.0
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
ENTRIES = ("ca.crt", "ca.key", "tls.crt", "tls.key")

log = logging.getLogger(__name__)


class Authority:
    """Keeps the certificate of the webhook server valid, and trusted by the API server.

    Parameters
    ----------
    client
        Not gated by leader election. Needs `get` and `update` of the Secret, `get` and `patch` of the configurations.
    namespace, secret
        An existing Secret; whoever installs the operator makes it, empty.
    names
        Host names or IP addresses that the API server calls the webhooks by.
    configurations
        Ours, as `validatingwebhookconfigurations/<name>`, `mutatingwebhookconfigurations/<name>`, or
        `customresourcedefinitions/<name>` of a CRD that a webhook converts. Those that do not exist are left out.
    directory
        Where `tls.crt` and `tls.key` go.
    lifetimes
        How long things are valid.
    clock
        Tells the time; for tests.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str,
        secret: str,
        names: Sequence[str],
        configurations: Sequence[str],
        directory: Path,
        lifetimes: Lifetimes | None = None,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}/secrets/{secret}"
        self._names = tuple(names)
        self._configurations = tuple(configurations)
        self._directory = directory
        self._lifetimes = lifetimes or Lifetimes()
        self._clock = clock
        self._current: Certificates | None = None
        self._written: Certificates | None = None
        self._announced = False

    async def run(self, pause: float = POLL_SECONDS) -> NoReturn:
        """Look after the certificates until cancelled. What fails is logged and tried again."""
        while True:
            try:
                await self.step()
            except ApiError as error:
                log.warning("certificates of the webhooks: %s", error)
                await asyncio.sleep(min(pause, 1.0))
            except LeadershipLostError:
                raise
            except Exception:
                # A full disk, an object of an unknown shape: certificates end if nobody goes on trying.
                log.exception("certificates of the webhooks")
                await asyncio.sleep(pause)
            else:
                await asyncio.sleep(pause)

    async def step(self) -> None:
        """Bring everything one step further, if it is time.

        Raises
        ------
        ApiError
            If the Secret or a configuration cannot be read or written; nothing is half done then.
        """
        self._current = await self._kept()
        # Trusted first, served later: a replica becomes ready by having a certificate.
        self._announced = await self._announce(self._current.authorities)
        if self._current != self._written:
            await asyncio.to_thread(self._write, self._current)
            self._written = self._current

    async def _kept(self) -> Certificates:
        """Return what the Secret holds, after this replica, or a faster one, has brought it up to date."""
        for _ in range(3):
            secret = await self._client.request("GET", self._path)
            found = _decoded(secret) or self._current  # somebody emptied it: ours are still trusted
            wanted = advanced(
                found, self._names, now=self._clock(), lifetimes=self._lifetimes, announced=self._announced
            )
            if wanted == _decoded(secret):
                return wanted
            try:
                await self._client.request("PUT", self._path, body=_encoded(secret, wanted))
            except ConflictError:
                continue  # another replica was faster: see what it wrote
            log.info("wrote %s: %s", self._path.rpartition("/")[2], wanted)
            return wanted
        raise ConflictError(f"{self._path}: others write to it all the time")

    async def _announce(self, authorities: str) -> bool:
        """Have all configurations trust these; say whether they did already."""
        bundle = base64.b64encode(authorities.encode()).decode()
        already = True
        for configuration in self._configurations:
            definition = configuration.startswith("customresourcedefinitions/")
            path = f"{DEFINITIONS if definition else CONFIGURATIONS}/{configuration}"
            try:
                found = await self._client.request("GET", path)
            except NotFoundError:
                continue
            stale = _stale_definition(found, bundle) if definition else _stale_configuration(found, bundle)
            if stale:
                already = False
                body = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, **stale}
                content_type = MERGE_PATCH if definition else STRATEGIC_MERGE_PATCH
                await self._client.request("PATCH", path, body=body, content_type=content_type)
                log.info("wrote caBundle of %s", configuration)
        return already

    def _write(self, certificates: Certificates) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for name, content in (("tls.key", certificates.key), ("tls.crt", certificates.certificate)):
            fresh = self._directory / f".{name}"
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(content)
            fresh.replace(self._directory / name)


def _stale_configuration(found: Manifest, bundle: str) -> dict[str, Any]:
    """Return the strategic merge patch that a webhook configuration needs; nothing if it trusts us already."""
    stale = [
        {"name": webhook["name"], "clientConfig": {"caBundle": bundle}}
        for webhook in found.get("webhooks") or ()
        if webhook["clientConfig"].get("caBundle") != bundle
    ]
    return {"webhooks": stale} if stale else {}


def _stale_definition(found: Manifest, bundle: str) -> dict[str, Any]:
    """Return the merge patch that a CRD needs; nothing if it trusts us already, or if no webhook converts it."""
    webhook = found["spec"].get("conversion", {}).get("webhook")
    if webhook is None or webhook["clientConfig"].get("caBundle") == bundle:
        return {}
    return {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": bundle}}}}}


def _decoded(secret: Manifest) -> Certificates | None:
    """Return what the Secret holds; None if it is empty or something else."""
    data: dict[str, str] = secret.get("data") or {}
    try:
        texts = [base64.b64decode(data[entry], validate=True).decode() for entry in ENTRIES]
        return Certificates(*texts)
    except (KeyError, ValueError):
        return None


def _encoded(secret: Manifest, certificates: Certificates) -> Manifest:
    texts = (certificates.authorities, certificates.authority_key, certificates.certificate, certificates.key)
    data: dict[str, Any] = {
        entry: base64.b64encode(text.encode()).decode() for entry, text in zip(ENTRIES, texts, strict=True)
    }
    return {**secret, "data": {**(secret.get("data") or {}), **data}}
