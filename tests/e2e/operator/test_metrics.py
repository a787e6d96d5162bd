"""The exporter's page, looked at in the running pod: without TLS, and with TLS and users."""

from __future__ import annotations

import urllib.request

import pytest

from e2e.operator.certificates import Authority
from e2e.operator.conftest import Cache
from e2e.operator.test_access import SERVER, put_secret

pytestmark = pytest.mark.node


def scrape(cache: Cache, port: int = 9150) -> dict[str, float]:
    address = cache.cluster.publish(cache.pods()["cache-0"]["status"]["podIP"], port)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_the_exporters_page_says_what_memcached_says(cache: Cache) -> None:
    cache.cluster.kubectl("label", "namespace", cache.namespace, "pod-security.kubernetes.io/enforce=restricted")
    cache.apply(metrics={"enabled": True, "port": 9199}, maxConnections=2048)
    cache.settle()
    assert "STORED" in cache.ask("set key 0 0 5\r\nvalue\r\nget key\r\nget other")
    page = scrape(cache, 9199)
    assert page["memcached_up"] == 1
    assert page["memcached_max_connections"] == 2048
    assert page["memcached_current_items"] == 1
    assert page['memcached_commands_total{command="get",status="hit"}'] == 1
    assert page['memcached_commands_total{command="get",status="miss"}'] == 1
    assert page["process_resident_memory_bytes"] < 40 * 2**20
    ports = cache.cluster.get("service", "cache-nodes", "-n", cache.namespace)["spec"]["ports"]
    assert {port["name"]: port["port"] for port in ports} == {"memcache": 11211, "metrics": 9199}
    assert cache.condition("Degraded")["status"] == "False", "a cluster without the Prometheus operator is fine"


def test_the_exporter_works_behind_tls_and_users(cache: Cache) -> None:
    put_secret(cache, "certificate", Authority().issue(SERVER), "kubernetes.io/tls")
    put_secret(cache, "operator-certificate", Authority().issue("operator"), "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(
        metrics={"enabled": True},
        tls={
            "secretName": "certificate",
            "clientCertificates": "require",
            "operatorSecretName": "operator-certificate",
        },
        auth={"secretName": "users"},
    )
    cache.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=1", "memcached/cache", "--timeout=120s")
    page = scrape(cache)
    assert page["memcached_up"] == 1
    assert page["memcached_limit_bytes"] == 64 * 2**20
