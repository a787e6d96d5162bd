"""Serving certificates: read from a mounted directory and reloaded when they change, or made on the spot."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import logging
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificate", "self_signed"]

NAMES = (("tls.crt", "tls.key"), ("apiserver.crt", "apiserver.key"))
"""Certificate and key as cert-manager, Helm and OLM's webhook volume name them, and OLM's API service volume."""
POLL_SECONDS = 2.0

log = logging.getLogger(__name__)


class Certificate:
    """The certificate of one server.

    New handshakes use a new certificate as soon as it is loaded; connections that are open stay open. A pair that does
    not match, as seen in the middle of an update, is left alone until it does.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.context = _context()
        """For the server; every handshake takes its certificate from the context that was loaded last."""
        self.context.sni_callback = self._choose
        self._current = self.context
        self.problem: str | None = f"no certificate in {directory}"
        """Why nothing can be served, if so."""
        self._loaded = ""

    def load(self) -> bool:
        """Load what is in the directory, if it is new and complete; return whether there is a certificate to serve."""
        pair = next(
            ((self.directory / crt, self.directory / key) for crt, key in NAMES if (self.directory / crt).exists()),
            None,
        )
        if pair is None:
            return self.problem is None
        try:
            digest = hashlib.sha256(pair[0].read_bytes() + pair[1].read_bytes()).hexdigest()
            if digest != self._loaded:
                # A context of its own: one keeps a certificate per type of key, and would go on serving an RSA one
                # beside its successor; and a handshake in the middle of loading would meet half a pair.
                fresh = _context()
                fresh.load_cert_chain(*pair)
                self._current = fresh
                log.info("loaded the certificate in %s", self.directory)
                self._loaded, self.problem = digest, None
        except (OSError, ssl.SSLError) as error:
            log.warning("the certificate in %s cannot be used: %s", self.directory, error)
            if not self._loaded:
                self.problem = f"the certificate in {self.directory} cannot be used: {error}"
        return self.problem is None

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """OpenSSL asks this in every handshake, also in those that name no server."""
        connection.context = self._current

    async def watch(self) -> None:
        """Reload until cancelled. Polled: mounted Secrets change by a renamed symbolic link, on any file system."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await asyncio.to_thread(self.load)

    async def wait(self) -> None:
        """Return when there is a certificate."""
        while not await asyncio.to_thread(self.load):  # noqa: ASYNC110 (files set no events)
            await asyncio.sleep(POLL_SECONDS)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def self_signed(name: str) -> Certificate:
    """Make a certificate for as long as the process lives, as controller-runtime does for metrics: Prometheus is told
    not to verify it (`insecureSkipVerify`), or given a real one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "tls.key").touch(mode=0o600)
        (directory / "tls.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        served = Certificate(directory)
        served.load()
    return served
