"""How much memory a memcached process needs beyond its items.

`-m` bounds items only (memcached's serverguide); the hash table, connections and threads come on top, and a container
limit below their sum ends in an OOM kill, which loses the cache.
"""

from __future__ import annotations

from kopf_sdk.api import Quantity
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.api.v1alpha1.extstore import Extstore

__all__ = ["extstore_mib", "extstore_volume_mib", "item_memory_mib", "max_item_bytes", "memory_volume_mib", "resources"]

_MIB = 1024 * 1024

# The CEL rule on `resources` repeats the first three: a limit that cannot hold them is refused by the API server.
_FIXED_MIB = 24
"""Program, libraries, LRU crawler, slab bookkeeping: 2 MiB right after the start; the rest is for the exec probe."""
_THREAD_MIB = 4
"""Stack, event base, read buffers and log ring of one worker thread."""
_ITEM_OVERHEAD = 0.10
"""Hash table (8 bytes a bucket, 1.5 items each, doubled while it grows) and slab page rounding for small items."""
_CONNECTION_KIB = 20
"""Connection object and buffers of a busy client (an idle one takes about a fifth)."""

_EXTSTORE_MIB = 24
"""Write buffers of extstore (four of 4 MiB) and what its threads read. The CEL rule repeats this, too."""
_FILE_SYSTEM = 0.05
"""Disk beside the items: a file system's own, and room before the kubelet calls a volume full."""

_METADATA_MIB = 4
"""Room beside the memory file for what describes it (0.5 KiB): a pod that fills its volume to the brim is evicted."""

_CPU_REQUEST = "50m"


def item_memory_mib(memcached: Memcached) -> int:
    """Return the memory for items in MiB, the unit of memcached's `-m`."""
    return int(Quantity(memcached.spec.memory)) // _MIB


def max_item_bytes(memcached: Memcached) -> int:
    """Return the size of the largest item in bytes (memcached's `-I`)."""
    return int(Quantity(memcached.spec.max_item_size))


def memory_volume_mib(memcached: Memcached) -> int:
    """Return the size of the volume for the memory file: memcached makes it as large as `-m` and fills it by and by.

    What is in it counts as the container's memory, as it would without a file, and so needs no other limit.
    """
    return item_memory_mib(memcached) + _METADATA_MIB


def extstore_mib(extstore: Extstore) -> int:
    """Return the disk for items in MiB."""
    return int(Quantity(extstore.size)) // _MIB


def extstore_volume_mib(extstore: Extstore) -> int:
    """Return the size of the volume that holds them."""
    return round(extstore_mib(extstore) * (1 + _FILE_SYSTEM))


def resources(memcached: Memcached) -> dict[str, dict[str, str]]:
    """Return the container's requests and limits: derived ones, each replaced by what the resource gives.

    The memory request covers a full cache with a quarter of the connections in use, the limit all of them. CPU is
    requested, never limited: a throttled memcached is slow for everybody, an idle one takes nothing.
    """
    spec = memcached.spec
    base = item_memory_mib(memcached) * (1 + _ITEM_OVERHEAD) + spec.threads * _THREAD_MIB + _FIXED_MIB
    base += _EXTSTORE_MIB if spec.extstore else 0
    connections = spec.max_connections * _CONNECTION_KIB / 1024
    requests = {"cpu": Quantity(_CPU_REQUEST), "memory": _mebibytes(base + connections / 4)}
    limits = {"memory": _mebibytes(base + connections)}
    given = spec.resources
    asked, bound = (given.requests or {}, given.limits or {}) if given else ({}, {})
    # The API server refuses a limit below its request: what is derived gives way to what is given.
    limits = {name: max(amount, asked.get(name, amount)) for name, amount in limits.items()} | bound
    requests = {name: min(amount, limits.get(name, amount)) for name, amount in requests.items()} | asked
    return {"requests": _json(requests), "limits": _json(limits)}


def _mebibytes(mib: float) -> Quantity:
    """Round up to a multiple of 4 MiB."""
    return Quantity(f"{int(-(-mib // 4) * 4)}Mi")


def _json(amounts: dict[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}
