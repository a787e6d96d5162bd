"""What a certificate authority for one server holds, and what it should hold next. Pure but for the dice.

The state is nothing but the certificates themselves: their dates and signatures tell how far a replacement has got.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificates", "Lifetimes", "advanced"]

CLOCK_SKEW = dt.timedelta(minutes=5)
"""Certificates begin this long before they are made: the API server's clock may be behind."""


@dataclass(frozen=True)
class Lifetimes:
    """How long things are valid. What has less than a third of its time left is replaced."""

    authority: dt.timedelta = dt.timedelta(days=730)
    certificate: dt.timedelta = dt.timedelta(days=90)
    overlap: dt.timedelta = dt.timedelta(minutes=5)
    """How long each step of a replacement stands, so that all API servers and replicas have seen it."""


@dataclass(frozen=True)
class Certificates:
    """CAs and serving certificate, as PEM.

    Raises
    ------
    ValueError
        If a part is no PEM, a key does not belong to its certificate, or none of the CAs has signed the certificate.
    """

    authorities: str
    """Certificates of the CAs to trust, the newest first."""
    authority_key: str = field(repr=False)
    """Private key of the newest CA."""
    certificate: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        if _public(_key(self.authority_key)) != _public(self.newest):
            raise ValueError("the CA's key is not that of the newest CA")
        if _public(_key(self.key)) != _public(self.served):
            raise ValueError("the key is not that of the certificate")
        if not any(_signed(self.served, authority) for authority in self.trusted):
            raise ValueError("the certificate is signed by none of the CAs")

    @cached_property
    def trusted(self) -> list[x509.Certificate]:
        """The CAs, the newest first."""
        return x509.load_pem_x509_certificates(self.authorities.encode())

    @property
    def newest(self) -> x509.Certificate:
        """The CA that signs."""
        return self.trusted[0]

    @cached_property
    def served(self) -> x509.Certificate:
        """The serving certificate."""
        return x509.load_pem_x509_certificate(self.certificate.encode())

    @property
    def served_by_newest(self) -> bool:
        """Whether the serving certificate is the newest CA's."""
        return _signed(self.served, self.newest)

    def __str__(self) -> str:
        until = self.served.not_valid_after_utc.date()
        return f"{len(self.trusted)} trusted CA{'s' * (len(self.trusted) > 1)}, certificate until {until}"


def advanced(
    current: Certificates | None,
    names: Sequence[str],
    *,
    now: dt.datetime,
    lifetimes: Lifetimes,
    announced: bool,
) -> Certificates:
    """Return what should be kept from now on: `current` itself, or the next step.

    Parameters
    ----------
    current
        What is kept; None if there is nothing usable.
    names
        Host names and IP addresses of the server.
    now
        The time.
    lifetimes
        How long things are valid.
    announced
        Whether all clients are known to trust all of `current.trusted`.
    """
    if current is None or _over(current.newest, now):
        return _fresh(names, now, lifetimes)
    if _over(current.served, now) or _names(current.served) != set(names):
        return _with_certificate(current, names, now, lifetimes)  # nothing works now: waiting would not help
    if _due(current.newest, lifetimes.authority, now):
        return _with_authority(current, now, lifetimes)
    if not current.served_by_newest:
        wait = not announced or _age(current.newest, now) < lifetimes.overlap
        return current if wait else _with_certificate(current, names, now, lifetimes)
    if _due(current.served, lifetimes.certificate, now):
        return _with_certificate(current, names, now, lifetimes)
    if len(current.trusted) > 1 and _age(current.served, now) >= lifetimes.overlap:
        return replace(current, authorities=_pem(current.newest))
    return current


def _fresh(names: Sequence[str], now: dt.datetime, lifetimes: Lifetimes) -> Certificates:
    authority, authority_key = _authority(now, lifetimes)
    certificate, key = _certificate(names, authority, authority_key, now, lifetimes)
    return Certificates(_pem(authority), _private(authority_key), _pem(certificate), _private(key))


def _with_authority(current: Certificates, now: dt.datetime, lifetimes: Lifetimes) -> Certificates:
    """A new CA, trusted beside those that still count; the old certificate goes on being served."""
    authority, key = _authority(now, lifetimes)
    counting = [old for old in current.trusted if not _over(old, now)]
    bundle = "".join(map(_pem, [authority, *counting]))
    return replace(current, authorities=bundle, authority_key=_private(key))


def _with_certificate(
    current: Certificates, names: Sequence[str], now: dt.datetime, lifetimes: Lifetimes
) -> Certificates:
    certificate, key = _certificate(names, current.newest, _key(current.authority_key), now, lifetimes)
    return replace(current, certificate=_pem(certificate), key=_private(key))


def _authority(now: dt.datetime, lifetimes: Lifetimes) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    # Distinct names, so that clients that look a CA up by its name find the right one.
    name = _common_name(f"webhook CA of {now:%Y-%m-%d %H:%M:%S}")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        _builder(name, name, key, now, lifetimes.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, hashes.SHA256()), key


def _certificate(
    names: Sequence[str],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    lifetimes: Lifetimes,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(_common_name("webhooks"), authority.subject, key, now, lifetimes.certificate)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _age(certificate: x509.Certificate, now: dt.datetime) -> dt.timedelta:
    return now - certificate.not_valid_before_utc - CLOCK_SKEW


def _over(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _due(certificate: x509.Certificate, lifetime: dt.timedelta, now: dt.datetime) -> bool:
    return certificate.not_valid_after_utc - now < lifetime / 3


def _signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def _key(pem: str) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key for elliptic curves")
    return key


def _public(holder: ec.EllipticCurvePrivateKey | x509.Certificate) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return holder.public_key().public_bytes(serialization.Encoding.DER, form)
