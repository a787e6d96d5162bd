"""Items that do not fit into memory are found again on disk: in the pod's own volume, and in a claim."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pymemcache.client.base import Client

from e2e.operator.conftest import Cache
from waiting import eventually

pytestmark = pytest.mark.node

ITEM, COUNT = 64 * 1024, 1500
"""94 MiB in all."""


@pytest.fixture
def storage_class(cache: Cache, tmp_path: Path) -> Iterator[str]:
    """Three volumes on this machine's disk that wait for claims."""
    name = cache.namespace
    manifests: list[dict[str, object]] = [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    ]
    for number in range(3):
        folder = tmp_path / f"volume-{number}"
        folder.mkdir()
        folder.chmod(0o777)  # nobody changes the owner of a hostPath
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": str(folder)},
        }
        metadata = {"name": f"{name}-{number}"}
        manifests.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
    cache.cluster.apply(yaml.safe_dump_all(manifests))
    yield name
    cache.cluster.kubectl(
        "delete", f"storageclass/{name}", *(f"pv/{name}-{number}" for number in range(3)), "--wait=false"
    )


def found_again(cache: Cache, pod: str = "cache-0") -> tuple[float, dict[bytes, object]]:
    """Store three times what fits into memory; return the share that is read back right, and memcached's statistics."""
    host, _, port = cache.cluster.publish(cache.pods()[pod]["status"]["podIP"], 11211).partition(":")
    client = Client((host, int(port)), timeout=60)
    try:
        values = {f"key-{number}": f"{number:08}".encode() * (ITEM // 8) for number in range(COUNT)}
        for key, value in values.items():
            begin = time.monotonic()
            assert client.set(key, value, noreply=False)
            # Disk is written behind the client's back: who is faster loses items, and so does a machine that is slow.
            time.sleep(max(0.004, time.monotonic() - begin))
        found = sum(client.get(key) == value for key, value in values.items())
        return found / COUNT, client.stats()
    finally:
        client.close()


def test_what_does_not_fit_into_memory_is_read_from_disk(cache: Cache) -> None:
    cache.cluster.kubectl("label", "namespace", cache.namespace, "pod-security.kubernetes.io/enforce=restricted")
    cache.apply(memory="32Mi", extstore={"size": "512Mi"})
    cache.settle()
    share, stats = found_again(cache)
    assert share > 0.9
    assert int(str(stats[b"extstore_objects_read"])) > COUNT / 3
    assert int(str(stats[b"extstore_limit_maxbytes"])) == 512 * 2**20
    assert int(str(stats[b"limit_maxbytes"])) == 32 * 2**20
    assert not any(status["restartCount"] for status in cache.pods()["cache-0"]["status"]["containerStatuses"])


def test_a_claim_per_pod_that_goes_with_the_pod_unless_it_shall_not(cache: Cache, storage_class: str) -> None:
    def claims() -> set[str]:
        return set(cache.kubectl("get", "pvc", "-o", "jsonpath={.items[*].metadata.name}").split())

    extstore = {"size": "256Mi", "volume": "claim", "storageClassName": storage_class}
    cache.apply(size=2, memory="32Mi", extstore=extstore)
    cache.settle()
    assert claims() == {"extstore-cache-0", "extstore-cache-1"}
    share, stats = found_again(cache, "cache-1")
    assert share > 0.9
    assert int(str(stats[b"extstore_objects_read"])) > COUNT / 3
    cache.apply(size=1, memory="32Mi", extstore=extstore | {"retention": {"whenDeleted": "Retain"}})
    eventually(lambda: claims() == {"extstore-cache-0"})
    cache.settle()
    cache.kubectl("delete", "memcached", "cache")
    eventually(lambda: not cache.pods())
    assert claims() == {"extstore-cache-0"}, "retention.whenDeleted was not heeded"
    cache.kubectl("delete", "pvc", "--all", "--wait=false")

    other = Cache(cache.cluster, cache.namespace, "other")
    other.apply(memory="32Mi", extstore={"size": "256Mi", "volume": "ephemeral", "storageClassName": storage_class})
    other.settle()
    assert f"STAT extstore_limit_maxbytes {256 * 2**20}" in other.ask("stats")
    (owner,) = cache.cluster.get("pvc", "other-0-extstore", "-n", cache.namespace)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Pod", "other-0")
