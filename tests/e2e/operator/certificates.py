"""Certificates for tests: a CA and what it signs."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority that lives as long as a test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.pem = _pem(self._certificate)

    def issue(
        self, name: str, *, begins: dt.timedelta = dt.timedelta(minutes=-5), ends: dt.timedelta = dt.timedelta(days=1)
    ) -> dict[str, str]:
        """Return the data of a kubernetes.io/tls Secret for this name; it begins and ends that far from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self._name, key.public_key(), begins, ends)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"tls.crt": _pem(certificate), "tls.key": private.decode(), "ca.crt": self.pem}

    def context(self, client: dict[str, str] | None = None, folder: Path | None = None) -> ssl.SSLContext:
        """Return a client's context that trusts this CA, with a client certificate where one is given."""
        context = ssl.create_default_context(cadata=self.pem)
        if client is not None:
            assert folder is not None
            for file_name in ("tls.crt", "tls.key"):
                (folder / file_name).write_text(client[file_name])
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return context


def serial(certificate: bytes | None) -> int:
    """Return the serial number of a DER certificate."""
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def serial_of(secret: dict[str, str]) -> int:
    """Return the serial number of a Secret's certificate."""
    return x509.load_pem_x509_certificate(secret["tls.crt"].encode()).serial_number


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: dt.timedelta = dt.timedelta(minutes=-5),
    ends: dt.timedelta = dt.timedelta(days=1),
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
