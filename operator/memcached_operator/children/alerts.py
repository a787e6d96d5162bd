"""Alerts for one resource: what an operator of a cache wants to be woken for, or to see the next morning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children.manifest import Manifest, manifest

__all__ = ["prometheus_rule"]


@dataclass(frozen=True)
class Alert:
    """One alert; SELECTOR in the expression becomes the labels of this resource's series."""

    name: str
    expression: str
    lasts: str
    severity: str
    summary: str
    description: str


_GETS = 'memcached_commands_total{SELECTOR,command="get"}'
_HITS = 'memcached_commands_total{SELECTOR,command="get",status="hit"}'
ALERTS = (
    Alert(
        "MemcachedDown",
        "memcached_up{SELECTOR} == 0",
        "2m",
        "critical",
        "memcached does not answer in {{ $labels.pod }}.",
        "Its part of the keys is missed by every client. Look at the pod's events and at memcached's log.",
    ),
    Alert(
        "MemcachedNotScraped",
        "up{SELECTOR} == 0",
        "10m",
        "warning",
        "The exporter in {{ $labels.pod }} does not answer.",
        "Clients may be served all the same: look at the log of the container exporter.",
    ),
    Alert(
        "MemcachedRestarted",
        "resets(memcached_uptime_seconds{SELECTOR}[15m]) > 0",
        "0m",
        "warning",
        "memcached started again in {{ $labels.pod }}.",
        "Its items are lost. Why it ended is in the last state of the container (OOMKilled: raise spec.resources).",
    ),
    Alert(
        "MemcachedConnectionsNearLimit",
        "memcached_current_connections{SELECTOR} / memcached_max_connections{SELECTOR} > 0.8",
        "10m",
        "warning",
        "{{ $labels.pod }} uses {{ $value | humanizePercentage }} of its connections.",
        "Raise spec.maxConnections, or let clients pool their connections.",
    ),
    Alert(
        "MemcachedConnectionsRefused",
        "increase(memcached_connections_rejected_total{SELECTOR}[5m])"
        " + increase(memcached_connections_listener_disabled_total{SELECTOR}[5m]) > 0",
        "1m",
        "critical",
        "{{ $labels.pod }} turns clients away.",
        "All of spec.maxConnections are open. Raise it, or let clients pool their connections.",
    ),
    Alert(
        "MemcachedStoresFail",
        "increase(memcached_item_no_memory_total{SELECTOR}[5m]) > 0",
        "5m",
        "warning",
        "{{ $labels.pod }} refuses items for lack of memory.",
        "Nothing can be evicted in their slab class. Raise spec.memory.",
    ),
    Alert(
        "MemcachedTooSmall",
        "rate(memcached_items_evicted_total{SELECTOR}[30m]) > 1 and on (pod) "
        f"sum by (pod) (rate({_HITS}[30m])) / sum by (pod) (rate({_GETS}[30m])) < 0.5",
        "30m",
        "info",
        "{{ $labels.pod }} evicts items while most reads miss.",
        "More of spec.memory or spec.size would be used.",
    ),
)


def prometheus_rule(memcached: Memcached) -> Manifest | None:
    """Return the PrometheusRule, or None when no alerts are wanted."""
    metrics = memcached.spec.metrics
    if not metrics.enabled or not metrics.prometheus_rule.enabled:
        return None
    selector = f'namespace="{memcached.metadata.namespace}",service="{naming.nodes_service(memcached)}"'
    group = f"memcached.{memcached.metadata.namespace}.{memcached.metadata.name}"
    rule = manifest(
        memcached,
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        memcached.metadata.name,
        spec={"groups": [{"name": group, "rules": [_rule(memcached, alert, selector) for alert in ALERTS]}]},
    )
    rule["metadata"]["labels"] = metrics.prometheus_rule.labels | rule["metadata"]["labels"]
    return rule


def _rule(memcached: Memcached, alert: Alert, selector: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression.replace("SELECTOR", selector),
        "for": alert.lasts,
        "labels": {"severity": alert.severity, "memcached": memcached.metadata.name},
        "annotations": {"summary": alert.summary, "description": alert.description},
    }
