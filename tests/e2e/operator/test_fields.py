"""Every field of the specification, looked up in what runs: in memcached, in its container, on the wire.

Two resources have nearly all of them at once. What takes a change or a failure to be seen stands elsewhere, by name.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.operator.certificates import Authority, serial_of
from e2e.operator.conftest import Cache
from e2e.operator.test_access import SERVER, dial, put_secret, served_serial, version
from e2e.operator.test_metrics import scrape
from kopf_sdk.generate import crd_manifests
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import base_image, reference
from memcached_demo import NAMESPACE, Demo
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.wire import Login, WireError
from waiting import eventually

pytestmark = pytest.mark.node

ALICE = Login("alice", "a")
PLAIN, TLS, METRICS = 11300, 11399, 9199
TAINT = "cache.example.com/fields"
MIB = 2**20

EVERYTHING: dict[str, Any] = {
    "size": 2,
    "containerPort": PLAIN,
    "image": reference("memcached-trixie"),
    "imagePullSecrets": [{"name": "no-such-registry"}],
    "memory": "100Mi",
    "maxConnections": 2048,
    "threads": 2,
    "maxItemSize": "2Mi",
    "verbosity": 1,
    "extraArgs": ["--disable-evictions"],
    "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "300Mi"}},
    "tls": {"secretName": "certificate", "clientCertificates": "request", "plainPort": True, "port": TLS},
    "auth": {"secretName": "users"},
    "metrics": {
        "enabled": True,
        "port": METRICS,
        "resources": {"requests": {"cpu": "7m"}, "limits": {"memory": "80Mi"}},
    },
    "service": {"type": "NodePort", "annotations": {"example.com/internal": "true"}},
    "discovery": {"endpoint": {"enabled": True, "replicas": 2}},
    "networkPolicy": {
        "enabled": True,
        "clients": [{"podSelector": {"matchLabels": {"role": "client"}}}],
        "metricsClients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}],
    },
    "podDisruptionBudget": {"maxUnavailable": 1},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": TAINT, "operator": "Exists"}],
    "priorityClassName": "fields",
    "podLabels": {"role": "client"},
    "podAnnotations": {"example.com/note": "x"},
    "terminationGracePeriodSeconds": 7,
}
WITHOUT_SHELL: dict[str, Any] = {
    "probes": {"type": "tcp"},
    "podDisruptionBudget": {"enabled": False},
    "size": 2,
    "tolerations": EVERYTHING["tolerations"],
}


@dataclass(frozen=True)
class Running:
    """The resource with everything, the one without a shell, and what its clients know."""

    cache: Cache
    other: Cache
    authority: Authority
    certificate: dict[str, str]
    folder: Path

    def ask(self, text: str, *, port: int = PLAIN, host: str = "127.0.0.1") -> list[str]:
        login = f"{ALICE.user} {ALICE.password}"
        return self.cache.ask(f"set auth 0 0 {len(login)}\r\n{login}\r\n{text}", host=host, port=port)

    def setting(self, name: str) -> str:
        lines = self.ask("stats settings")
        return next(line.split(" ", 2)[2] for line in lines if line.startswith(f"STAT {name} "))

    def pod(self) -> dict[str, Any]:
        return self.cache.pods()["cache-0"]

    def get(self, kind: str, name: str = "cache") -> dict[str, Any]:
        return dict(self.cache.cluster.get(kind, name, "-n", self.cache.namespace))

    def memory(self, container: str) -> int:
        """Return what the kernel lets a container use."""
        return self._cgroup(container, "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")

    def has_shares(self, container: str, shares: int) -> bool:
        """Tell whether the kernel gives a container these CPU shares, or their weight in the second version."""
        found = self._cgroup(container, "/sys/fs/cgroup/cpu.weight", "/sys/fs/cgroup/cpu/cpu.shares")
        return found in (shares, 1 + (shares - 2) * 9999 // 262142)

    def _cgroup(self, container: str, *files: str) -> int:
        """Return what stands in the one of these files of the container's control group that there is."""
        found = f"print(*[open(p).read() for p in {files} if __import__('os').path.exists(p)])"
        command = {"memcached": ["sh", "-c", f"cat {' '.join(files)} 2>&-; :"], "exporter": ["python3", "-c", found]}
        return int(self.cache.kubectl("exec", "cache-0", "-c", container, "--", *command[container]))

    def peers(self, port: str) -> set[str]:
        """Return the pods that the NetworkPolicy lets in to a port, by the API server's reading of its selectors."""
        allowed = set()
        for rule in self.get("networkpolicy")["spec"]["ingress"]:
            if port in {item["port"] for item in rule["ports"]}:
                allowed |= {pod for peer in rule["from"] for pod in self._selected(peer)}
        return allowed

    def _selected(self, peer: dict[str, Any]) -> set[str]:
        selected = {self.cache.namespace}
        if "namespaceSelector" in peer:
            found = self.cache.cluster.get("namespaces", "-l", labels(peer["namespaceSelector"]))["items"]
            selected = {item["metadata"]["name"] for item in found}
        pods = []
        for namespace in selected:
            selector = labels(peer.get("podSelector", {}))
            pods += self.cache.cluster.get("pods", "-n", namespace, "-l", selector)["items"]
        return {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods}


def labels(selector: dict[str, Any]) -> str:
    """Return a selector as kubectl takes it."""
    return ",".join(f"{key}={value}" for key, value in selector.get("matchLabels", {}).items())


@pytest.fixture(scope="module")
def running(installed: Demo, node_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Both resources, on a node that takes nothing but what tolerates its taint."""
    node_cluster.load_images([base_image("memcached-trixie")])
    namespace = f"fields-{secrets.token_hex(4)}"
    node_cluster.create_namespace(namespace)
    cache, other = Cache(node_cluster, namespace), Cache(node_cluster, namespace, "other")
    authority = Authority()
    certificate = authority.issue(SERVER)
    put_secret(cache, "certificate", certificate | {"ca.crt": authority.pem}, "kubernetes.io/tls")
    put_secret(cache, "users", {ALICE.user: ALICE.password})
    priority = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1234}
    node_cluster.apply(yaml.safe_dump({**priority, "metadata": {"name": "fields"}}))
    node_cluster.kubectl("taint", "node", "--all", "--overwrite", f"{TAINT}=x:NoSchedule")
    try:
        cache.apply(**EVERYTHING)
        other.apply(**WITHOUT_SHELL)
        cache.settle()
        other.settle()
        cache.kubectl("wait", "--for=condition=Available", "deployment/cache-discovery", "--timeout=120s")
        yield Running(cache, other, authority, certificate, tmp_path_factory.mktemp("clients"))
    finally:
        node_cluster.kubectl("taint", "node", "--all", f"{TAINT}-")
        node_cluster.kubectl("delete", "priorityclass", "fields")
        node_cluster.api.delete(f"/api/v1/namespaces/{namespace}")


Look = Callable[[Running], Any]


def refused(running: Running, port: int, **options: Any) -> bool:
    try:
        asyncio.run(version(dial(running.cache, port, **options)))
    except WireError:
        return True
    return False


def strangers(running: Running) -> ssl.SSLContext:
    """A client that trusts the cache, with a certificate of an authority that the cache does not know."""
    context = running.authority.context(Authority().issue("stranger"), running.folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 a client believes in the handshake too early
    return context


def tls_version(running: Running) -> str:
    return asyncio.run(version(dial(running.cache, TLS, tls=running.authority.context(), login=ALICE)))


def node_port(running: Running) -> list[str]:
    port = next(item["nodePort"] for item in running.get("service")["spec"]["ports"] if item["name"] == "memcache")
    return running.ask("version", host=running.pod()["status"]["hostIP"], port=port)


def pull_secret_is_missed(running: Running) -> bool:
    events = running.cache.cluster.get("events", "-n", running.cache.namespace)["items"]
    return any(
        event["reason"] == "FailedToRetrieveImagePullSecret" and "no-such-registry" in event["message"]
        for event in events
    )


def metrics_peers(running: Running) -> bool:
    pods = running.peers("metrics")
    return bool(pods) and all(pod.startswith(f"{NAMESPACE}/") for pod in pods)


def clients(running: Running) -> set[str]:
    """Who may connect, without the pods of the operator, which has to be among them."""
    pods = running.peers("memcache")
    operators = {pod for pod in pods if pod.startswith(f"{NAMESPACE}/")}
    assert operators, "the operator is locked out"
    return {pod.partition("/")[2] for pod in pods - operators}


def shielded(running: Running) -> set[str]:
    """Return the pods that a NetworkPolicy is for."""
    selector = labels(running.get("networkpolicy")["spec"]["podSelector"])
    return {
        pod["metadata"]["name"]
        for pod in running.cache.cluster.get("pods", "-n", running.cache.namespace, "-l", selector)["items"]
    }


def served(running: Running) -> int:
    return asyncio.run(served_serial(dial(running.cache, TLS, tls=running.authority.context())))


def nodes(running: Running) -> list[str]:
    answer = running.cache.ask("config get cluster", host="cache-discovery", port=11211)
    return [node.partition(".")[0] for node in answer[2].split()]


def first_process(running: Running) -> str:
    """Return the command line of the first process in a pod whose image is said to have no shell."""
    command = ("exec", "other-0", "-c", "memcached", "--", "cat", "/proc/1/cmdline")
    return running.other.kubectl(*command).replace("\0", " ")


def deleted(running: Running) -> dict[str, Any]:
    """Delete a pod; return what the API server says to that."""
    path = f"/api/v1/namespaces/{running.cache.namespace}/pods/cache-1"
    code, pod = running.cache.cluster.api.request("DELETE", path)
    assert code == 200
    return dict(pod)


# The field, where it is looked up, what is there.
TABLE: list[tuple[str, Look, Any]] = [
    ("size", lambda r: r.cache.resource()["status"]["readyReplicas"], 2),
    ("containerPort", lambda r: r.ask("version")[-1], "VERSION 1.6.38"),
    ("image", lambda r: r.cache.resource()["status"]["version"], "1.6.38"),
    ("imagePullSecrets", pull_secret_is_missed, True),
    ("memory", lambda r: r.setting("maxbytes"), str(100 * MIB)),
    ("maxConnections", lambda r: r.setting("maxconns"), "2048"),
    ("threads", lambda r: r.setting("num_threads"), "2"),
    ("maxItemSize", lambda r: r.setting("item_size_max"), str(2 * MIB)),
    ("verbosity", lambda r: r.setting("verbosity"), "1"),
    ("extraArgs", lambda r: r.setting("evictions"), "off"),
    ("resources.requests", lambda r: r.has_shares("memcached", 102), True),
    ("resources.limits", lambda r: r.memory("memcached"), 300 * MIB),
    ("tls.secretName", lambda r: served(r) == serial_of(r.certificate), True),
    ("tls.port", tls_version, "1.6.38"),
    ("tls.clientCertificates", lambda r: refused(r, TLS, tls=strangers(r), login=ALICE), True),
    ("tls.plainPort", lambda r: asyncio.run(version(dial(r.cache, PLAIN, login=ALICE))), "1.6.38"),
    ("auth.secretName", lambda r: refused(r, PLAIN, login=Login("alice", "b")) and refused(r, PLAIN), True),
    ("metrics.enabled", lambda r: scrape(r.cache, METRICS)["memcached_limit_bytes"], 100 * MIB),
    ("metrics.port", lambda r: scrape(r.cache, METRICS)["memcached_up"], 1),
    ("metrics.resources.requests", lambda r: r.has_shares("exporter", 7), True),
    ("metrics.resources.limits", lambda r: r.memory("exporter"), 80 * MIB),
    ("service.type", lambda r: node_port(r)[-1], "VERSION 1.6.38"),
    ("service.annotations", lambda r: r.get("service")["metadata"]["annotations"]["example.com/internal"], "true"),
    ("discovery.endpoint.enabled", nodes, ["cache-0", "cache-1"]),
    ("discovery.endpoint.replicas", lambda r: r.get("deployment", "cache-discovery")["status"]["readyReplicas"], 2),
    ("networkPolicy.enabled", shielded, {"cache-0", "cache-1"}),
    ("networkPolicy.clients", clients, {"cache-0", "cache-1"}),
    ("networkPolicy.metricsClients", metrics_peers, True),
    (
        "podDisruptionBudget.maxUnavailable",
        lambda r: eventually(lambda: r.get("pdb")["status"]["disruptionsAllowed"]),
        1,
    ),
    (
        "podDisruptionBudget.enabled",
        lambda r: r.cache.kubectl("get", "pdb", "-o", "name"),
        "poddisruptionbudget.policy/cache\n",
    ),
    ("nodeSelector", lambda r: r.pod()["status"]["phase"], "Running"),
    ("tolerations", lambda r: r.pod()["status"]["phase"], "Running"),
    ("priorityClassName", lambda r: r.pod()["spec"]["priority"], 1234),
    ("podLabels", lambda r: r.pod()["metadata"]["labels"]["role"], "client"),
    ("podAnnotations", lambda r: r.pod()["metadata"]["annotations"]["example.com/note"], "x"),
    ("probes.type", lambda r: first_process(r).startswith("memcached --port=11211 "), True),
    ("terminationGracePeriodSeconds", lambda r: deleted(r)["metadata"]["deletionGracePeriodSeconds"], 7),
]
ELSEWHERE = {
    "affinity": "e2e/operator/test_places.py::test_a_place_that_no_node_offers_is_named",
    "autoscaling.maxSize": "e2e/operator/test_autoscaling.py::test_a_busy_cache_grows_to_its_maximum",
    "autoscaling.minSize": "e2e/operator/test_autoscaling.py::test_a_busy_cache_grows_to_its_maximum",
    "autoscaling.targetCpuPercent": "e2e/operator/test_autoscaling.py::test_a_busy_cache_grows_to_its_maximum",
    "extstore.retention.whenDeleted": "e2e/operator/test_extstore.py::test_a_claim_per_pod",
    "extstore.retention.whenScaled": "e2e/operator/test_extstore.py::test_a_claim_per_pod",
    "extstore.size": "e2e/operator/test_extstore.py::test_what_does_not_fit_into_memory_is_read_from_disk",
    "extstore.storageClassName": "e2e/operator/test_extstore.py::test_a_claim_per_pod",
    "extstore.volume": "e2e/operator/test_extstore.py::test_a_claim_per_pod",
    "imagePullPolicy": "e2e/operator/test_memcached.py::test_a_bad_image_is_degraded_in_the_kubelets_words",
    "metrics.prometheusRule.enabled": "integration/operator/test_reconcile.py::test_prometheus_is_told",
    "metrics.prometheusRule.labels": "integration/operator/test_reconcile.py::test_prometheus_is_told",
    "metrics.serviceMonitor.enabled": "integration/operator/test_reconcile.py::test_prometheus_is_told",
    "metrics.serviceMonitor.interval": "integration/operator/test_reconcile.py::test_prometheus_is_told",
    "metrics.serviceMonitor.labels": "integration/operator/test_reconcile.py::test_prometheus_is_told",
    "paused": "integration/operator/test_reconcile.py::test_paused_changes_nothing",
    "tls.operatorSecretName": "e2e/operator/test_access.py::test_a_plain_port_beside_tls_and_client_certificates",
    "topologySpreadConstraints": "e2e/operator/test_places.py::test_a_place_that_no_node_offers_is_named",
    "updateStrategy.maxUnavailable": "integration/operator/test_pace.py::test_as_many_pods_go_at_a_time_as_may",
    "updateStrategy.minReadySeconds": "integration/operator/test_pace.py::test_the_next_pod_goes_after_the_last_served",
    "updateStrategy.warmUp.hitRatioPercent": "e2e/operator/test_in_place.py::test_the_next_pod_waits_until_the_last",
    "updateStrategy.warmUp.timeoutSeconds": "unit/operator/test_warming.py::test_a_new_pod_is_awaited",
    "warmRestart.enabled": "e2e/operator/test_warm_restart.py::test_a_new_image_and_other_arguments_keep_every_item",
    "warmRestart.handover": "e2e/operator/test_handover.py::test_",
}
"""The file and how the name of the test begins."""


@pytest.mark.parametrize(("field", "look", "wanted"), TABLE, ids=[row[0] for row in TABLE])
def test_the_field_is_found_in_what_runs(running: Running, field: str, look: Look, wanted: Any) -> None:
    assert look(running) == wanted, field


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if "properties" in field:
            yield from leaves(field, f"{path}{name}.")
        else:
            yield path + name


def test_no_field_is_without_a_test() -> None:
    schema = crd_manifests([Memcached])[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = set(leaves(schema["properties"]["spec"]))
    assert {row[0] for row in TABLE} | set(ELSEWHERE) == fields
    tests = Path(__file__).parents[2]
    for field, test in ELSEWHERE.items():
        file, _, name = test.partition("::")
        assert f"def {name}" in (tests / file).read_text(), field
