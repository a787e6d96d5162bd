"""Alerts and the dashboard ask for metrics that exist; each alert has its runbook."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from kopf_sdk.runtime.metrics import Metrics
from memcached_operator.certificates import Certificates
from unit.chart.helm import CHART, PROJECT, VALUES, objects

ALERTS: list[dict[str, str]] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())
FROM_PROMETHEUS = {"up"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def known() -> set[str]:
    metrics = Metrics()
    metrics.of("memcached")
    metrics.registry.register(Certificates())
    families: list[Metric] = list(metrics.registry.collect())
    return {family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, ("",))}


def asked(expression: str) -> set[str]:
    return set(re.findall(r"([a-z_]+)\{", expression)) - FROM_PROMETHEUS


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_metrics_that_exist_and_has_a_runbook(alert: dict[str, str]) -> None:
    assert asked(alert["expr"]) <= known()
    assert "SELECTOR" in alert["expr"]
    runbook = (PROJECT / "docs" / "runbooks" / f"{alert['alert']}.md").read_text()
    assert runbook.startswith(f"# {alert['alert']}\n")
    for section in ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation"):
        assert section in runbook


def test_every_runbook_has_its_alert() -> None:
    runbooks = {path.stem for path in (PROJECT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert runbooks == {alert["alert"] for alert in ALERTS}


def test_the_schema_knows_the_alerts_that_can_be_left_out() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    disabled = schema["properties"]["metrics"]["properties"]["prometheusRule"]["properties"]["disabled"]
    assert disabled["items"]["enum"] == [alert["alert"] for alert in ALERTS]


def test_panels_ask_for_metrics_that_exist() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            assert asked(target["expr"]) <= known(), panel["title"]


def test_alerts_are_those_of_this_release_without_the_disabled_ones() -> None:
    (rule,) = [item for item in objects("--values", VALUES["monitoring"]) if item["kind"] == "PrometheusRule"]
    rules = rule["spec"]["groups"][0]["rules"]
    assert [entry["alert"] for entry in rules] == [
        alert["alert"] for alert in ALERTS if alert["alert"] != "MemcachedOperatorQueueFull"
    ]
    for entry in rules:
        assert entry["labels"]["team"] == "caching"
        assert 'namespace="demo-operator-system", job="demo-memcached-operator-metrics"' in entry["expr"]
        assert entry["annotations"]["runbook_url"] == f"https://wiki.example.com/runbooks/{entry['alert']}.md"


def test_without_leader_election_nobody_waits_for_a_leader() -> None:
    arguments = ("--set", "metrics.prometheusRule.enabled=true,leaderElection.enabled=false")
    (rule,) = [item for item in objects(*arguments) if item["kind"] == "PrometheusRule"]
    assert "MemcachedOperatorNoLeader" not in {entry["alert"] for entry in rule["spec"]["groups"][0]["rules"]}
