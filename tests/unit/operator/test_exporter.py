"""The exporter's names are memcached_exporter's; its container stays what it is while only the operator changes."""

from __future__ import annotations

import re
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from memcached_operator.children.alerts import ALERTS
from memcached_operator.exporter.families import families, up

GENERAL = {
    "version": "1.6.45",
    "uptime": "4",
    "rusage_user": "0.014727",
    "cmd_set": "5",
    "cas_hits": "1",
    "cas_misses": "1",
    "cas_badval": "1",
    "get_hits": "3",
    "get_misses": "2",
    "curr_connections": "2",
    "rejected_connections": "0",
    "listen_disabled_num": "0",
    "evictions": "0",
    "store_no_memory": "0",
}
SETTINGS = {"maxconns": "1024", "lru_crawler": "yes", "inter": "NULL"}
ITEMS = {"items:1:number": "1", "items:1:hits_to_hot": "7", "items:12:evicted": "9"}
SLABS = {"1:chunk_size": "96", "1:get_hits": "3", "active_slabs": "1", "total_malloced": "1048576"}


def page(found: Any) -> dict[str, float]:
    """Return the samples of a scrape, by the text before the value."""

    class Fixed(Collector):
        def collect(self) -> list[Metric]:
            return list(found)

    registry = CollectorRegistry()
    registry.register(Fixed())
    lines = generate_latest(registry).decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_samples_have_the_names_and_labels_that_dashboards_know() -> None:
    samples = page(families(GENERAL, SETTINGS, ITEMS, SLABS))
    wanted = {
        "memcached_up": 1,
        'memcached_version{version="1.6.45"}': 1,
        "memcached_uptime_seconds": 4,
        "memcached_process_user_cpu_seconds_total": 0.014727,
        'memcached_commands_total{command="get",status="hit"}': 3,
        'memcached_commands_total{command="get",status="miss"}': 2,
        'memcached_commands_total{command="cas",status="badval"}': 1,
        'memcached_commands_total{command="set",status="hit"}': 2,  # cmd_set counts every cas once more
        "memcached_max_connections": 1024,
        "memcached_lru_crawler_enabled": 1,
        'memcached_slab_current_items{slab="1"}': 1,
        'memcached_slab_lru_hits_total{lru="hot",slab="1"}': 7,
        'memcached_slab_items_evicted_total{slab="12"}': 9,
        'memcached_slab_chunk_size_bytes{slab="1"}': 96,
        'memcached_slab_commands_total{command="get",slab="1",status="hit"}': 3,
        "memcached_malloced_bytes": 1048576,
    }
    assert {name: samples.get(name) for name in wanted} == wanted


def test_what_this_memcached_does_not_tell_is_left_out() -> None:
    assert not [name for name in page(families(GENERAL, SETTINGS, ITEMS, SLABS)) if "extstore" in name]
    assert page([up(False)]) == {"memcached_up": 0}


def test_alerts_ask_for_metrics_that_the_exporter_has() -> None:
    known = {re.split("[{ ]", name)[0] for name in page(families(GENERAL, SETTINGS, ITEMS, SLABS))} | {"up"}
    for alert in ALERTS:
        asked = set(re.findall(r"([a-z_]+)\{SELECTOR", alert.expression))
        assert asked, alert.name
        assert asked <= known, alert.name
        assert alert.expression.count("(") == alert.expression.count(")")
