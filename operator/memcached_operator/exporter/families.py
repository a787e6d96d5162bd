"""memcached's statistics as Prometheus metrics, under the names of prometheus/memcached_exporter 0.16.

So dashboards and alerts written for that exporter work. Sources: its metrics.md, memcached's doc/protocol.txt.
Statistics that this memcached does not have (extstore's, for instance) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.metrics_core import Metric

__all__ = ["families", "up"]

Stats = Mapping[str, str]

_GENERAL = {
    "uptime": ("uptime_seconds", "Seconds since memcached started."),
    "time": ("time_seconds", "UNIX time as memcached sees it."),
    "rusage_user": ("process_user_cpu_seconds_total", "CPU time in user mode."),
    "rusage_system": ("process_system_cpu_seconds_total", "CPU time in the kernel."),
    "bytes": ("current_bytes", "Bytes that items take."),
    "limit_maxbytes": ("limit_bytes", "Bytes that items may take."),
    "total_malloced": ("malloced_bytes", "Bytes allocated to slab pages."),
    "curr_items": ("current_items", "Items stored."),
    "total_items": ("items_total", "Items ever stored."),
    "evictions": ("items_evicted_total", "Valid items removed to make room."),
    "reclaimed": ("items_reclaimed_total", "Items stored in the memory of expired ones."),
    "store_too_large": ("item_too_large_total", "Items refused for their size."),
    "store_no_memory": ("item_no_memory_total", "Items refused for lack of memory."),
    "direct_reclaims": ("direct_reclaims_total", "Times a worker thread had to make room itself."),
    "bytes_read": ("read_bytes_total", "Bytes read from the network."),
    "bytes_written": ("written_bytes_total", "Bytes sent to the network."),
    "curr_connections": ("current_connections", "Open connections."),
    "total_connections": ("connections_total", "Connections ever opened."),
    "rejected_connections": ("connections_rejected_total", "Connections refused at the limit."),
    "conn_yields": ("connections_yielded_total", "Times a busy connection had to let others go first."),
    "listen_disabled_num": ("connections_listener_disabled_total", "Times the limit of connections was hit."),
    "accepting_conns": ("accepting_connections", "Whether new connections are accepted."),
    "lru_crawler_starts": ("lru_crawler_starts_total", "Times the LRU crawler started."),
    "crawler_reclaimed": ("lru_crawler_reclaimed_total", "Items freed by the LRU crawler."),
    "crawler_items_checked": ("lru_crawler_items_checked_total", "Items that the LRU crawler looked at."),
    "moves_to_cold": ("lru_crawler_moves_to_cold_total", "Items moved from HOT or WARM to COLD."),
    "moves_to_warm": ("lru_crawler_moves_to_warm_total", "Items moved from COLD to WARM."),
    "moves_within_lru": ("lru_crawler_moves_within_lru_total", "Items moved within HOT or WARM."),
    "round_robin_fallback": ("round_robin_fallback_total", "Connections given to threads in turn."),
    "unexpected_napi_ids": ("unexpected_napi_ids_total", "Connections with an unexpected NAPI ID."),
    "extstore_compact_lost": ("extstore_compact_lost_total", "Items lost in a compaction."),
    "extstore_compact_rescues": ("extstore_compact_rescued_total", "Items moved to a new page by a compaction."),
    "extstore_compact_skipped": ("extstore_compact_skipped_total", "Idle items dropped by a compaction."),
    "extstore_page_allocs": ("extstore_pages_allocated_total", "Pages allocated."),
    "extstore_page_evictions": ("extstore_pages_evicted_total", "Pages evicted."),
    "extstore_page_reclaims": ("extstore_pages_reclaimed_total", "Empty pages freed."),
    "extstore_pages_free": ("extstore_pages_free", "Pages without items."),
    "extstore_pages_used": ("extstore_pages_used", "Pages with items."),
    "extstore_objects_evicted": ("extstore_objects_evicted_total", "Items evicted to make room."),
    "extstore_objects_read": ("extstore_objects_read_total", "Items read."),
    "extstore_objects_written": ("extstore_objects_written_total", "Items written."),
    "extstore_objects_used": ("extstore_objects_used", "Items stored."),
    "extstore_bytes_evicted": ("extstore_bytes_evicted_total", "Bytes evicted to make room."),
    "extstore_bytes_written": ("extstore_bytes_written_total", "Bytes written."),
    "extstore_bytes_read": ("extstore_bytes_read_total", "Bytes read."),
    "extstore_bytes_used": ("extstore_bytes_used", "Bytes that items take."),
    "extstore_bytes_fragmented": ("extstore_bytes_fragmented", "Bytes allocated and not used."),
    "extstore_limit_maxbytes": ("extstore_bytes_limit", "Bytes that items may take."),
    "extstore_io_queue": ("extstore_io_queue_depth", "Requests waiting for the disk."),
}
_SETTINGS = {
    "maxconns": ("max_connections", "Connections that may be open."),
    "lru_crawler": ("lru_crawler_enabled", "Whether the LRU crawler runs."),
    "lru_crawler_sleep": ("lru_crawler_sleep", "Microseconds between two items of the LRU crawler."),
    "lru_crawler_tocrawl": ("lru_crawler_to_crawl", "Items per slab class and run of the LRU crawler."),
    "lru_maintainer_thread": ("lru_crawler_maintainer_thread", "Whether the LRU is segmented."),
    "hot_lru_pct": ("lru_crawler_hot_percent", "Percent of a slab class for HOT."),
    "warm_lru_pct": ("lru_crawler_warm_percent", "Percent of a slab class for WARM."),
    "hot_max_factor": ("lru_crawler_hot_max_factor", "Age at which items leave HOT, as a factor of COLD's."),
    "warm_max_factor": ("lru_crawler_warm_max_factor", "Age at which items leave WARM, as a factor of COLD's."),
}
_ITEMS = {
    "number": ("slab_current_items", "Items in the slab class."),
    "number_hot": ("slab_hot_items", "Items in HOT."),
    "number_warm": ("slab_warm_items", "Items in WARM."),
    "number_cold": ("slab_cold_items", "Items in COLD."),
    "number_temp": ("slab_temporary_items", "Items in TEMPORARY."),
    "age": ("slab_items_age_seconds", "Age of the oldest item."),
    "age_hot": ("slab_hot_age_seconds", "Age of the oldest item in HOT."),
    "age_warm": ("slab_warm_age_seconds", "Age of the oldest item in WARM."),
    "evicted": ("slab_items_evicted_total", "Valid items removed to make room."),
    "evicted_nonzero": ("slab_items_evicted_nonzero_total", "Of these, items with a time to live."),
    "evicted_unfetched": ("slab_items_evicted_unfetched_total", "Of these, items that nobody had read."),
    "evicted_time": ("slab_items_evicted_time_seconds", "Seconds since the last evicted item was used."),
    "expired_unfetched": ("slab_items_expired_unfetched_total", "Items expired that nobody had read."),
    "outofmemory": ("slab_items_outofmemory_total", "Items refused for lack of memory."),
    "reclaimed": ("slab_items_reclaimed_total", "Items stored in the memory of expired ones."),
    "crawler_reclaimed": ("slab_items_crawler_reclaimed_total", "Items freed by the LRU crawler."),
    "tailrepairs": ("slab_items_tailrepairs_total", "Items freed whose reference was never given back."),
    "moves_to_cold": ("slab_items_moves_to_cold", "Items moved to COLD."),
    "moves_to_warm": ("slab_items_moves_to_warm", "Items moved to WARM."),
    "moves_within_lru": ("slab_items_moves_within_lru", "Items moved within HOT or WARM."),
    "mem_requested": ("slab_mem_requested_bytes", "Bytes that the items themselves take."),
}
_SLABS = {
    "chunk_size": ("slab_chunk_size_bytes", "Size of a chunk."),
    "chunks_per_page": ("slab_chunks_per_page", "Chunks in a page."),
    "total_pages": ("slab_current_pages", "Pages of the slab class."),
    "total_chunks": ("slab_current_chunks", "Chunks of the slab class."),
    "used_chunks": ("slab_chunks_used", "Chunks with an item."),
    "free_chunks": ("slab_chunks_free", "Chunks without an item."),
    "free_chunks_end": ("slab_chunks_free_end", "Free chunks at the end of the last page."),
}
_COMMANDS = ("get", "delete", "incr", "decr", "cas", "touch")
_OUTCOMES = {
    **{f"{command}_hits": (command, "hit") for command in _COMMANDS},
    **{f"{command}_misses": (command, "miss") for command in _COMMANDS},
    "cas_badval": ("cas", "badval"),
    "cmd_flush": ("flush", "hit"),
}
_LRU_HITS = {"hits_to_hot": "hot", "hits_to_warm": "warm", "hits_to_cold": "cold", "hits_to_temp": "temporary"}


def up(reached: bool) -> Metric:
    """Return the metric that says whether memcached answered."""
    families = _Families()
    families.add("up", "Whether memcached answers.", float(reached))
    return next(iter(families))


def families(general: Stats, settings: Stats, items: Stats, slabs: Stats) -> Sequence[Metric]:
    """Return the metrics.

    Parameters
    ----------
    general, settings, items, slabs
        The answers to `stats`, `stats settings`, `stats items` and `stats slabs`.
    """
    found = _Families()
    found.add("version", "Version of memcached.", 1, version=general.get("version", ""))
    found.table(_GENERAL, {**general, **slabs})
    found.table(_SETTINGS, settings)
    found.commands("commands_total", "Commands by outcome.", general)
    for slab, values in _by_slab(items, prefix="items:"):
        found.table(_ITEMS, values, slab=slab)
        for name, lru in _LRU_HITS.items():
            if name in values:
                found.add("slab_lru_hits_total", "Reads that hit an LRU.", float(values[name]), slab=slab, lru=lru)
    for slab, values in _by_slab(slabs):
        found.table(_SLABS, values, slab=slab)
        found.commands("slab_commands_total", "Commands by outcome and slab class.", values, slab=slab)
    return [up(True), *found]


class _Families:
    """Metric families by name, in the order in which they came up."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())

    def add(self, name: str, text: str, value: float, **labels: str) -> None:
        full = f"memcached_{name}"
        if full not in self._families:
            kind = "counter" if full.endswith("_total") else "gauge"
            self._families[full] = Metric(full.removesuffix("_total"), text, kind)
        self._families[full].add_sample(full, labels, value)

    def table(self, rows: Mapping[str, tuple[str, str]], values: Stats, **labels: str) -> None:
        for name, (metric, text) in rows.items():
            if name in values:
                self.add(metric, text, _number(values[name]), **labels)

    def commands(self, metric: str, text: str, values: Stats, **labels: str) -> None:
        for name, (command, status) in _OUTCOMES.items():
            if name in values:
                self.add(metric, text, float(values[name]), **labels, command=command, status=status)
        if "cmd_set" in values:  # memcached counts every cas there once more
            cas = sum(float(values.get(name, 0)) for name in ("cas_hits", "cas_misses", "cas_badval"))
            self.add(metric, text, float(values["cmd_set"]) - cas, **labels, command="set", status="hit")


def _by_slab(stats: Stats, prefix: str = "") -> Iterator[tuple[str, Stats]]:
    """Group `<prefix><slab>:<name>` by slab class; what belongs to none is left out."""
    found: dict[str, dict[str, str]] = {}
    for key, value in stats.items():
        slab, colon, name = key.removeprefix(prefix).partition(":")
        if colon and slab.isdigit():
            found.setdefault(slab, {})[name] = value
    return iter(found.items())


def _number(value: str) -> float:
    return {"yes": 1.0, "no": 0.0}[value] if value in ("yes", "no") else float(value)
