"""What people are told of a certificate: that nobody can use it, that it ends soon, that it has ended."""

from __future__ import annotations

import datetime as dt
import ssl
import urllib.request

import yaml

from e2e.operator.certificates import Authority
from integration.operator.conftest import Account, Kubernetes
from waiting import eventually

AUTHORITY = Authority()
DAY = dt.timedelta(days=1)


def put(kubernetes: Kubernetes, data: dict[str, str]) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "certificate"}, "stringData": data}
    kubernetes.cluster.kubectl("apply", "-n", kubernetes.namespace, "-f", "-", input=yaml.safe_dump(manifest))


def degraded(kubernetes: Kubernetes, reason: str) -> str:
    eventually(lambda: kubernetes.condition("cache", "Degraded").get("reason") == reason)
    return str(kubernetes.condition("cache", "Degraded")["message"])


def metrics(account: Account, kubernetes: Kubernetes) -> str:
    """Return the operator's page, as somebody sees it who may."""
    name = f"reader-{kubernetes.namespace}"
    namespace = ("-n", kubernetes.namespace)
    kubernetes.cluster.kubectl("create", "serviceaccount", name, *namespace)
    kubernetes.cluster.kubectl("create", "clusterrole", name, "--verb=get", "--non-resource-url=/metrics")
    binding = (f"--clusterrole={name}", f"--serviceaccount={kubernetes.namespace}:{name}")
    kubernetes.cluster.kubectl("create", "clusterrolebinding", name, *binding)
    token = kubernetes.cluster.kubectl("create", "token", name, *namespace).strip()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://{account.metrics}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return str(answer.read().decode())


def test_a_certificate_is_named_when_it_is_wrong_soon_over_and_over(
    kubernetes: Kubernetes, operator_account: Account
) -> None:
    good = AUTHORITY.issue("cache", begins=-DAY, ends=90 * DAY)
    put(kubernetes, good | {"tls.key": AUTHORITY.issue("cache")["tls.key"]})
    kubernetes.apply("cache", tls={"secretName": "certificate"})
    assert "Secret certificate: tls.key is not the key of tls.crt" in degraded(kubernetes, "SecretInvalid")
    put(kubernetes, good)
    degraded(kubernetes, "AsExpected")

    put(kubernetes, AUTHORITY.issue("cache", begins=-9 * DAY, ends=DAY))

    def told() -> list[str]:
        items = kubernetes.cluster.get("events.events.k8s.io", "-n", kubernetes.namespace)["items"]
        return [item["note"] for item in items if item["reason"] == "CertificateExpires"]

    assert "Secret certificate: the certificate with serial" in eventually(told)[0]
    degraded(kubernetes, "AsExpected")
    labels = f'memcached="cache",namespace="{kubernetes.namespace}",secret="certificate"'
    page = metrics(operator_account, kubernetes)
    for name in ("expiration", "not_before"):
        assert f"memcached_certificate_{name}_timestamp_seconds{{{labels}}}" in page

    put(kubernetes, AUTHORITY.issue("cache", begins=-9 * DAY, ends=-DAY))
    assert "whoever checks it refuses it" in degraded(kubernetes, "CertificateExpired")
