"""What OLM installs equals what Helm installs: the live objects, compared by the rules of `kopf-sdk bundle diff`."""

from __future__ import annotations

import copy
import datetime as dt
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo_images import Images
from e2e.olm import packages
from e2e.olm.installation import Installation
from e2e.olm.live import as_installed, made_by_olm, meant, unexplained
from kopf_sdk.bundle.build import build
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import ensure

pytestmark = pytest.mark.node

VERSION = packages.HOOKS_NEW
NAMESPACE = "olm-install-namespace"
"""The namespace that charts/bundle.yaml renders the chart for."""
EXPECTED = {
    "certificate-volume",
    "helm-marks",
    "namespaces-view",
    "olm-annotations",
    "olm-certificates",
    "olm-condition",
    "own-namespace",
    "revision-history",
    "serving-rights",
    "target-namespaces",
    "webhook-selector",
}
"""The names of the differences that OLM makes; see `kopf_sdk.bundle.diff.OLM_DIFFERENCES`."""


@pytest.fixture
def by_olm(olm: Cluster, catalog: str) -> Iterator[Installation]:
    olm.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    olm.create_namespace(NAMESPACE)
    installed = Installation(olm, NAMESPACE, catalog)
    yield installed
    installed.uninstall()
    olm.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def certificate() -> tuple[str, str]:
    """Some certificate and its key, as PEM: Helm's installation is given one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return (
        signed.public_bytes(encoding).decode(),
        key.private_bytes(encoding, private, serialization.NoEncryption()).decode(),
    )


def helm(cluster: Cluster, *arguments: str) -> None:
    command = [
        str(ensure(["helm"])["helm"]),
        *arguments,
        "--namespace",
        NAMESPACE,
        "--kubeconfig",
        str(cluster.kubeconfig),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_olm_installs_what_helm_installs(
    by_olm: Installation, olm: Cluster, bundles: dict[str, Path], images: Images
) -> None:
    conversion = build(packages.request(VERSION, images))
    bundle = load_bundle(bundles[VERSION])
    by_olm.install([NAMESPACE], VERSION, "hooks")
    there = made_by_olm(olm, NAMESPACE, bundle)
    by_olm.uninstall()

    crt, key = certificate()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": packages.HOOKS_SECRET, "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": crt, "tls.key": key},
    }
    olm.apply(json.dumps(secret))
    settings = [*packages.values(VERSION, images), f"watch.namespaces={{{NAMESPACE}}}"]
    sets = [argument for value in settings for argument in ("--set", value)]
    # The CRD stays when OLM uninstalls an operator.
    helm(olm, "install", packages.PACKAGE, str(packages.CHART), "--take-ownership", "--wait", "--timeout=300s", *sets)
    try:
        here = as_installed(olm, meant(conversion, bundle))
    finally:
        helm(olm, "uninstall", packages.PACKAGE, "--wait")
    assert {obj.kind for obj in here} >= {
        "ClusterRole",
        "ConfigMap",
        "CustomResourceDefinition",
        "Deployment",
        "MutatingWebhookConfiguration",
        "Role",
        "Service",
        "ServiceAccount",
        "ValidatingWebhookConfiguration",
    }
    errors, notices = unexplained(conversion, bundle, here, there)
    assert not errors, "\n".join(errors)
    assert {notice.code for notice in notices} <= EXPECTED

    # And what is not equal is found.
    changed = copy.deepcopy(there)
    for item in changed:
        if item["kind"] == "Deployment":
            item["spec"]["template"]["spec"]["containers"][0]["args"].append("--workers=1")
        elif item["kind"] == "Role":
            item["rules"] = [rule for rule in item["rules"] if "statefulsets" not in rule["resources"]]
        elif item["kind"] == "ValidatingWebhookConfiguration":
            item["webhooks"][0]["failurePolicy"] = "Ignore"
    errors, _ = unexplained(conversion, bundle, here, changed)
    for sign in ("--workers=1", "statefulsets.apps", "failurePolicy"):
        assert any(sign in error for error in errors), sign
