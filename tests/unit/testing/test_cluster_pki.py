"""Certificates that the components accept from each other."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtensionOID, NameOID

from kopf_sdk.testing.cluster.pki import write_kubeconfig, write_pki


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    write_pki(directory, node_name="node1", node_ip="10.1.2.3", service_ip="10.96.0.1")
    return directory


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _subject(certificate: x509.Certificate) -> tuple[str, str]:
    groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    [user] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(user.value), str(groups[0].value) if groups else ""


@pytest.mark.parametrize(
    ("name", "authority", "user", "group"),
    [
        ("admin", "ca", "kubernetes-admin", "system:masters"),
        ("controller-manager", "ca", "system:kube-controller-manager", ""),
        ("scheduler", "ca", "system:kube-scheduler", ""),
        ("kubelet", "ca", "system:node:node1", "system:nodes"),
        ("proxy", "ca", "system:kube-proxy", ""),
        ("front-proxy-client", "front-proxy-ca", "front-proxy-client", ""),
    ],
)
def test_who_logs_in_is_who_the_authorizer_knows(pki: Path, name: str, authority: str, user: str, group: str) -> None:
    certificate = _certificate(pki / f"{name}.crt")
    assert _subject(certificate) == (user, group)
    certificate.verify_directly_issued_by(_certificate(pki / f"{authority}.crt"))


def test_the_api_server_is_known_by_every_name_it_is_called(pki: Path) -> None:
    extension = _certificate(pki / "apiserver.crt").extensions.get_extension_for_oid(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    )
    names = extension.value
    assert isinstance(names, x509.SubjectAlternativeName)
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"10.1.2.3", "127.0.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_every_certificate_has_its_key_and_keys_are_private(pki: Path) -> None:
    for path in pki.glob("*.crt"):
        key = load_pem_private_key(path.with_suffix(".key").read_bytes(), password=None)
        assert key.public_key() == _certificate(path).public_key()
    assert {path.stat().st_mode & 0o777 for path in pki.iterdir()} == {0o600}


def test_openssl_takes_the_chain(pki: Path) -> None:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")


def test_a_kubeconfig_carries_all_it_needs(pki: Path, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, pki, user="admin", server="https://127.0.0.1:1", context="kopf-sdk-dev")
    document = yaml.safe_load(path.read_text())
    assert document["current-context"] == "kopf-sdk-dev"
    assert document["contexts"][0]["context"] == {"cluster": "kopf-sdk-dev", "user": "kopf-sdk-dev"}
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    data = document["users"][0]["user"]["client-certificate-data"]
    assert base64.b64decode(data) == (pki / "admin.crt").read_bytes()
    assert path.stat().st_mode & 0o077 == 0
