"""Serving certificates that change."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from kopf_sdk.runtime.certificates import Certificate

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write(directory: Path, key: Key) -> int:
    """Write a certificate for the key; return its serial number."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "it")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (directory / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (directory / "tls.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return certificate.serial_number


async def served(port: int, name: str, version: ssl.TLSVersion) -> int:
    """Return the serial number of the certificate that a client gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(found).serial_number


@pytest.mark.parametrize("name", ["it", ""])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
async def test_a_new_certificate_is_served_whatever_its_key(tmp_path: Path, name: str, version: ssl.TLSVersion) -> None:
    keys: list[Key] = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())]
    write(tmp_path, keys[0])
    certificate = Certificate(tmp_path)
    assert certificate.load()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for key in (*keys, *keys):
            serial = write(tmp_path, key)
            assert certificate.load()
            assert await served(port, name, version) == serial


def test_half_a_pair_changes_nothing(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = Certificate(tmp_path)
    assert not certificate.load()
    write(tmp_path, key)
    assert certificate.load()
    (tmp_path / "tls.key").write_text("no key")
    assert certificate.load()
    assert certificate.problem is None
