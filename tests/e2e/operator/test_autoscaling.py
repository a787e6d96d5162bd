"""The autoscaler writes `size` and the operator follows; only the measured CPU is made up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.operator.certificates import Authority
from e2e.operator.conftest import Cache
from e2e.operator.test_access import put_secret
from memcached_demo import NAMESPACE
from waiting import eventually

pytestmark = pytest.mark.node

SCRIPT = Path(__file__).with_name("metrics_api.py")


@pytest.fixture
def busy(cache: Cache) -> Iterator[None]:
    """A metrics API that sees every memcached take 100m of CPU."""
    put_secret(cache, "metrics-api", Authority().issue("metrics-api"), "kubernetes.io/tls")
    operator = cache.cluster.get("deployment", "-n", NAMESPACE)["items"][0]["spec"]["template"]["spec"]["containers"][0]
    metadata = {"name": "metrics-api", "namespace": cache.namespace, "labels": {"app": "metrics-api"}}
    container = {
        "name": "api",
        "image": operator["image"],
        "command": ["python3", "/script/metrics_api.py", "/tls", "100m"],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
        "volumeMounts": [{"name": "script", "mountPath": "/script"}, {"name": "tls", "mountPath": "/tls"}],
    }
    volumes = [
        {"name": "script", "configMap": {"name": "metrics-api"}},
        {"name": "tls", "secret": {"secretName": "metrics-api"}},
    ]
    service = {"name": "metrics-api", "namespace": cache.namespace, "port": 8443}
    registration = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "service": service,
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    manifests = [
        {"apiVersion": "v1", "kind": "ConfigMap", "data": {SCRIPT.name: SCRIPT.read_text()}},
        {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container], "volumes": volumes}},
        {"apiVersion": "v1", "kind": "Service", "spec": {"selector": metadata["labels"], "ports": [{"port": 8443}]}},
    ]
    cache.cluster.apply(yaml.safe_dump_all([{**manifest, "metadata": metadata} for manifest in manifests]))
    cache.kubectl("wait", "--for=condition=Ready", "pod/metrics-api", "--timeout=120s")
    name = "v1beta1.metrics.k8s.io"
    api_service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
    cache.cluster.apply(yaml.safe_dump({**api_service, "spec": registration}))
    try:
        cache.cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{name}", "--timeout=120s")
        yield
    finally:
        # An API whose server is gone would keep every namespace from being deleted.
        cache.cluster.kubectl("delete", "apiservice", name)


@pytest.mark.usefixtures("busy")
def test_a_busy_cache_grows_to_its_maximum_and_the_operator_leaves_size_alone(cache: Cache) -> None:
    cache.apply(autoscaling={"minSize": 2, "maxSize": 3, "targetCpuPercent": 150})
    eventually(lambda: cache.resource()["spec"]["size"] == 3)
    cache.settle()
    assert set(cache.pods()) - {"metrics-api"} == {"cache-0", "cache-1", "cache-2"}
    assert len(cache.resource()["status"]["servers"]) == 3
    cache.apply(autoscaling={"minSize": 2, "maxSize": 4, "targetCpuPercent": 900})
    conditions = cache.cluster.get("hpa", "cache", "-n", cache.namespace)["status"]["conditions"]
    assert {condition["type"]: condition["status"] for condition in conditions}["ScalingActive"] == "True"
    assert cache.resource()["spec"]["size"] == 3
