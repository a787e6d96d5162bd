"""The certificates that resources name: whether they can be used, and when they end.

That one ends is told before it happens, by metrics and an event, and afterwards as a problem.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from memcached_operator.diagnosis import Problem

__all__ = ["BadCertificateError", "Certificates", "Expiry", "leaf", "warn_from"]

_EARLIEST_WARNING = dt.timedelta(days=21)
_LAST_PART = 5
"""A certificate is renewed when a third of its life is left (cert-manager's default); with a fifth left it is late."""


class BadCertificateError(Exception):
    """A Secret that nobody can speak TLS with; the message says what is wrong."""


def leaf(content: Mapping[str, bytes], *, authority: bool = False) -> x509.Certificate:
    """Return the certificate that somebody with this Secret serves: the first in tls.crt.

    Parameters
    ----------
    content
        The Secret's.
    authority
        Whether it has to hold ca.crt, too.

    Raises
    ------
    BadCertificateError
        Something is missing, is no PEM, or the key is another certificate's.
    """
    for name in ("tls.crt", "tls.key", *(("ca.crt",) if authority else ())):
        if not content.get(name):
            raise BadCertificateError(f"it has no {name}")
    if authority:
        _certificate("ca.crt", content["ca.crt"])
    return _pair(content["tls.crt"], content["tls.key"])


@lru_cache(maxsize=1024)
def _pair(pem: bytes, key: bytes) -> x509.Certificate:
    certificate = _certificate("tls.crt", pem)
    try:
        private = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:  # TypeError: it wants a password
        raise BadCertificateError("tls.key holds no PEM key without a password") from error
    if private.public_key() != certificate.public_key():
        raise BadCertificateError("tls.key is not the key of tls.crt")
    return certificate


def _certificate(name: str, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise BadCertificateError(f"{name} holds no PEM certificate") from error


def warn_from(certificate: x509.Certificate) -> dt.datetime:
    """Return from when people are told that a certificate ends: in its last fifth, and never over three weeks before.

    The chart's alert MemcachedCertificateExpires computes the same from the metrics.
    """
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - min((end - start) / _LAST_PART, _EARLIEST_WARNING)


@dataclass(frozen=True)
class Expiry:
    """What is to be told of a resource's certificates now.

    Attributes
    ----------
    problems
        Those that have ended.
    warnings
        Those that will soon; each is told once.
    wait
        Seconds until there is something else to tell; 0 when there is not.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wait: float = 0


class Certificates(Collector):
    """The certificates of all resources. Shared by all reconciliations of one process, and read at every scrape.

    Parameters
    ----------
    exists
        Tells whether there is a resource of that namespace and name.
    """

    def __init__(self, exists: Callable[[str, str], bool] = lambda namespace, name: True) -> None:
        self._exists = exists
        self._known: dict[str, dict[str, x509.Certificate]] = {}
        self._told: dict[str, set[int]] = {}

    def look(self, key: str, found: Mapping[str, x509.Certificate], *, now: dt.datetime) -> Expiry:
        """Remember which certificates a resource uses, and return what is to be told of them.

        Parameters
        ----------
        key
            `namespace/name` of the resource.
        found
            Its certificates by the name of the Secret that holds them.
        """
        if not found:
            self.gone(key)
            return Expiry()
        self._known[key] = dict(found)
        told = self._told.get(key, set())
        ending = {
            secret: certificate
            for secret, certificate in found.items()
            if warn_from(certificate) <= now < certificate.not_valid_after_utc
        }
        self._told[key] = {certificate.serial_number for certificate in ending.values()}
        moments = [moment for one in found.values() for moment in (warn_from(one), one.not_valid_after_utc)]
        return Expiry(
            problems=[
                Problem("CertificateExpired", _ended(secret, certificate))
                for secret, certificate in found.items()
                if certificate.not_valid_after_utc <= now
            ],
            warnings=[
                f"Secret {secret}: {_named(certificate)} ends at {_stamp(certificate)}, and nothing has renewed it"
                for secret, certificate in ending.items()
                if certificate.serial_number not in told
            ],
            wait=min(((moment - now).total_seconds() for moment in moments if moment > now), default=0),
        )

    def gone(self, key: str) -> None:
        """Forget a resource that is no more."""
        self._known.pop(key, None)
        self._told.pop(key, None)

    def collect(self) -> Iterable[Metric]:
        """Return the begin and the end of every certificate in use."""
        begin = Metric("memcached_certificate_not_before_timestamp_seconds", "When a certificate begins.", "gauge")
        end = Metric("memcached_certificate_expiration_timestamp_seconds", "When a certificate ends.", "gauge")
        for key, found in list(self._known.items()):
            namespace, _, name = key.partition("/")
            if not self._exists(namespace, name):
                self.gone(key)
                continue
            for secret, certificate in found.items():
                labels = {"namespace": namespace, "memcached": name, "secret": secret}
                begin.add_sample(begin.name, labels, certificate.not_valid_before_utc.timestamp())
                end.add_sample(end.name, labels, certificate.not_valid_after_utc.timestamp())
        return [begin, end]


def _ended(secret: str, certificate: x509.Certificate) -> str:
    return f"Secret {secret}: {_named(certificate)} ended at {_stamp(certificate)}; whoever checks it refuses it"


def _named(certificate: x509.Certificate) -> str:
    return f"the certificate with serial {certificate.serial_number:x}"


def _stamp(certificate: x509.Certificate) -> str:
    return certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
