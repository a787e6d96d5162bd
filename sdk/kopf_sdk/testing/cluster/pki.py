"""The certificates of one cluster: two authorities, and a key pair for every component.

EC P-256 throughout, service account tokens included (ES256): making all of it takes some milliseconds.
Requirements: https://kubernetes.io/docs/setup/best-practices/certificates/
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kopf_sdk.testing.cluster.state import write_atomic

__all__ = ["Authority", "Pair", "write_kubeconfig", "write_pki"]

_LIFETIME = datetime.timedelta(days=3650)
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


def _private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _name(common_name: str, organization: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A self-signed authority that issues certificates."""

    def __init__(self, common_name: str) -> None:
        self._key = _private_key()
        self._subject = _name(common_name)
        self._certificate = (
            self._builder(self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFETIME)
        )

    @property
    def pair(self) -> Pair:
        return Pair(self._certificate.public_bytes(serialization.Encoding.PEM), _pem(self._key))

    def client(self, common_name: str, organization: str = "") -> Pair:
        """A certificate to log in with: the name is the user, the organization the group."""
        return self._issue(common_name, organization, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, common_name: str, hosts: Sequence[str], organization: str = "") -> Pair:
        """A certificate to serve with, for these DNS names and IP addresses."""
        return self._issue(common_name, organization, ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def _issue(self, common_name: str, organization: str, usage: x509.ObjectIdentifier, hosts: Sequence[str]) -> Pair:
        key = _private_key()
        builder = (
            self._builder(_name(common_name, organization), key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_pki(directory: Path, *, node_name: str, node_ip: str, service_ip: str) -> None:
    """Write every key pair that the components read as `<name>.crt` and `<name>.key`."""
    ca, front_proxy = Authority("kubernetes-ca"), Authority("front-proxy-ca")
    service = "kubernetes.default.svc"
    api_hosts = [node_ip, "127.0.0.1", service_ip, "localhost", "kubernetes", "kubernetes.default", service]
    pairs = {
        "ca": ca.pair,
        "front-proxy-ca": front_proxy.pair,
        "apiserver": ca.server("kube-apiserver", [*api_hosts, f"{service}.cluster.local"]),
        "apiserver-kubelet-client": ca.client("apiserver-kubelet-client", "system:masters"),
        "front-proxy-client": front_proxy.client("front-proxy-client"),
        "admin": ca.client("kubernetes-admin", "system:masters"),
        "controller-manager": ca.client("system:kube-controller-manager"),
        "scheduler": ca.client("system:kube-scheduler"),
        "kubelet": ca.client(f"system:node:{node_name}", "system:nodes"),
        "kubelet-server": ca.server(f"system:node:{node_name}", [node_name, node_ip], "system:nodes"),
        "proxy": ca.client("system:kube-proxy"),
        "coredns": ca.client("coredns", "system:masters"),
    }
    for name, pair in pairs.items():
        _write(directory / f"{name}.crt", pair.certificate)
        _write(directory / f"{name}.key", pair.key)
    signing = _private_key()
    public = signing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(directory / "service-account.key", _pem(signing))
    _write(directory / "service-account.pub", public)


def _write(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 (Path.open has no mode bits)
        file.write(content)


def write_kubeconfig(path: Path, pki: Path, *, user: str, server: str, context: str) -> None:
    """Write a kubeconfig that holds its certificates, so that it can be copied elsewhere."""

    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    credentials = {"client-certificate-data": data(f"{user}.crt"), "client-key-data": data(f"{user}.key")}
    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": credentials}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }
    write_atomic(path, yaml.safe_dump(document, sort_keys=False))
