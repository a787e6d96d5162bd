"""A public client, as an application runs it: in a pod, with nothing but the names that the operator gives."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymemcache
import pytest
import yaml

from e2e.operator.conftest import Cache
from memcached_demo import NAMESPACE
from waiting import eventually

pytestmark = pytest.mark.node

KEYS = [f"key-{number}" for number in range(300)]
# Names and Services follow the readiness of their pods a moment later.
REACHED = """
import socket, time
def reached(server):
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(server.rsplit(":", 1), 5).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
"""
BY_LIST = f"""{REACHED}
import json, pathlib, sys
from pymemcache.client.hash import HashClient
keys = {KEYS!r}
for server in sys.argv[2].split(","):
    reached(server)
client = HashClient(sys.argv[2].split(","), timeout=5)
place = {{key: client._get_client(key).server[0].split(".")[0] for key in keys}}
if sys.argv[1] == "fill":
    assert client.set_many({{key: key for key in keys}}, noreply=False) == []
print(json.dumps([place, sorted(client.get_many(keys))]))
"""
# As pymemcache's AWSElastiCacheHashClient does: it takes the middle field.
DISCOVER = f"""{REACHED}
import json, sys
from pymemcache.client.base import Client
reached(f"{{sys.argv[1]}}:11211")
client = Client((sys.argv[1], 11211), timeout=5)
answer = client.raw_command(b"config get cluster", end_tokens=b"\\n\\r\\nEND\\r\\n")
_, version, nodes = answer.decode().splitlines()
print(json.dumps([int(version), [":".join(node.split("|")[1:]) for node in nodes.split()]]))
"""


@pytest.fixture
def python(cache: Cache) -> Callable[..., Any]:
    """Run a script where pymemcache is, inside the cluster; returns what it printed as JSON."""
    package = Path(pymemcache.__file__).parent
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for module in package.rglob("*.py"):
            if "test" not in module.parts:
                file.write(module, module.relative_to(package.parent))
    operator = cache.cluster.get("deployment", "-n", NAMESPACE)["items"][0]["spec"]["template"]["spec"]["containers"][0]
    metadata = {"name": "client", "namespace": cache.namespace}
    container = {
        "name": "client",
        "image": operator["image"],
        "command": ["python3", "-c", "import signal; signal.signal(15, lambda *_: exit()); signal.pause()"],
        "env": [{"name": "PYTHONPATH", "value": "/client/pymemcache.zip"}],
        "volumeMounts": [{"name": "client", "mountPath": "/client"}],
    }
    content = {"pymemcache.zip": base64.b64encode(archive.getvalue()).decode()}
    pod = {"containers": [container], "volumes": [{"name": "client", "configMap": {"name": "client"}}]}
    manifests = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": content},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    ]
    cache.cluster.apply(yaml.safe_dump_all(manifests))

    def run(script: str, *arguments: str) -> Any:
        cache.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=120s")
        return json.loads(cache.kubectl("exec", "client", "--", "python3", "-c", script, *arguments))

    return run


def servers(cache: Cache) -> str:
    """Return the list that applications take from the ConfigMap."""
    return str(cache.cluster.get("configmap", "cache-servers", "-n", cache.namespace)["data"]["servers.csv"])


def test_a_hashing_client_finds_its_keys_after_a_rollout_and_is_told_of_new_pods(
    cache: Cache, python: Callable[..., Any]
) -> None:
    cache.cluster.kubectl("label", "namespace", cache.namespace, "pod-security.kubernetes.io/warn=restricted")
    spec = {"discovery": {"endpoint": {"enabled": True}}, "warmRestart": {"enabled": True}}
    cache.apply(size=2, **spec)
    cache.settle()
    place, found = python(BY_LIST, "fill", servers(cache))
    assert found == sorted(KEYS)
    assert set(place.values()) == {"cache-0", "cache-1"}
    for pod in ("cache-0", "cache-1"):
        here = sum(where == pod for where in place.values())
        assert f"STAT curr_items {here}" in cache.ask("stats", pod=pod), "a key is not where the client hashes it to"

    cache.apply(size=2, threads=2, **spec)
    cache.settle()
    assert python(BY_LIST, "read", servers(cache)) == [place, sorted(KEYS)], "a rollout lost or moved keys"
    assert {cache.settings(pod)["num_threads"] for pod in ("cache-0", "cache-1")} == {"2"}

    cache.kubectl("wait", "--for=condition=Available", "deployment/cache-discovery", "--timeout=120s")
    version, nodes = python(DISCOVER, "cache-discovery")
    assert ",".join(nodes) == servers(cache)

    cache.apply(size=3, threads=2, **spec)
    cache.settle()
    place, found = python(BY_LIST, "read", servers(cache))
    assert set(found) == {key for key, pod in place.items() if pod != "cache-2"}, "a key moved that need not"
    assert len(found) > len(KEYS) / 2
    # Left to itself, the kubelet takes a minute or more.
    discovered = eventually(lambda: (new := python(DISCOVER, "cache-discovery"))[0] > version and new, within=45)
    assert discovered
    assert ",".join(discovered[1]) == servers(cache)
