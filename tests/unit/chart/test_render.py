"""What the chart renders against golden files; `UPDATE_GOLDEN=1` writes them anew for a reader to judge."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from unit.chart.helm import VALUES, objects, template

GOLDEN = Path(__file__).parent / "golden"


GENERATED = re.compile(r"templates/(crds/|user-roles|rbac/(manager|leader-election|metrics-auth)\.)")


def without_generated(rendered: str) -> str:
    """CRD and rules are the business of `kopf-sdk generate`, and checked there."""
    documents = re.split(r"^---\n", rendered, flags=re.MULTILINE)
    for number, document in enumerate(documents):
        if GENERATED.search(document.partition("\n")[0]):
            documents[number] = re.sub(r"^(rules|spec):\n( .*\n)+", r"\1: generated\n", document, flags=re.MULTILINE)
    return "---\n".join(documents)


@pytest.mark.parametrize("case", VALUES)
def test_the_chart_renders_as_the_golden_file_says(case: str) -> None:
    path = GOLDEN / f"{case}.yaml"
    rendered = without_generated(template("--values", VALUES[case]))
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(rendered)
    assert rendered == path.read_text()


@pytest.mark.parametrize("case", VALUES)
def test_helm_4_renders_what_helm_3_renders(case: str) -> None:
    def documents(helm: str) -> list[str]:
        """In an order of our own, without empty lines: that is where they differ."""
        lines = filter(None, template("--values", VALUES[case], helm=helm).split("\n"))
        return sorted("\n".join(lines).split("---\n"))

    assert documents("helm4") == documents("helm")


def test_rendering_again_changes_nothing() -> None:
    """As Argo CD does; certificates made by a template would differ every time."""
    arguments = ("--values", VALUES["all-on"])
    assert template.__wrapped__(*arguments) == template(*arguments)


@pytest.mark.parametrize("case", VALUES)
def test_every_object_is_labelled_and_namespaced(case: str) -> None:
    cluster_wide = re.compile("ClusterRole|ClusterRoleBinding|CustomResourceDefinition|.*WebhookConfiguration")
    for item in objects("--values", VALUES[case]):
        name, metadata = f"{item['kind']}/{item['metadata']['name']}", item["metadata"]
        if "extra" in name:
            continue
        assert metadata["labels"]["app.kubernetes.io/instance"] == "demo", name
        assert ("namespace" in metadata) is not bool(cluster_wide.fullmatch(item["kind"])), name


def test_common_labels_reach_every_object_and_the_pods() -> None:
    for item in objects("--set", "commonLabels.team=caching"):
        assert item["metadata"]["labels"]["team"] == "caching", item["metadata"]["name"]
        if item["kind"] == "Deployment":
            assert item["spec"]["template"]["metadata"]["labels"]["team"] == "caching"
            assert "team" not in item["spec"]["selector"]["matchLabels"]


def test_what_is_said_of_one_object_wins_over_what_is_said_of_all_and_stands_there_once() -> None:
    """A key that is there twice is refused by whoever reads the rendering with another YAML library than Helm's."""
    parts = ("service", "serviceMonitor", "prometheusRule", "dashboard")
    enabled = ",".join(f"metrics.{part}.enabled=true" for part in parts[1:])
    labels = ",".join(f"metrics.{part}.labels.team={part}" for part in parts)
    values = (
        f"commonLabels.team=all,podLabels.team=pods,{enabled},{labels},metrics.prometheusRule.alertLabels.severity=x"
    )
    annotations = r"podAnnotations.kubectl\.kubernetes\.io/default-container=other,podAnnotations.checksum/settings=no"
    items = objects("--set", values, "--set", annotations)
    named = {"Service": "service", "ServiceMonitor": "serviceMonitor", "PrometheusRule": "prometheusRule"}
    for item in items:
        team = named.get(item["kind"], "dashboard" if item["metadata"]["name"].endswith("-dashboard") else "all")
        assert item["metadata"]["labels"]["team"] == team, item["metadata"]["name"]
        if item["kind"] == "PrometheusRule":
            assert {rule["labels"]["severity"] for rule in item["spec"]["groups"][0]["rules"]} == {"x"}
        if item["kind"] == "Deployment":
            pod = item["spec"]["template"]["metadata"]
            assert pod["labels"]["team"] == "pods"
            assert pod["annotations"]["kubectl.kubernetes.io/default-container"] == "other"
            assert pod["annotations"]["checksum/settings"] != "no"


def test_nobody_waits_for_the_certificate_of_metrics_that_are_off() -> None:
    rendered = template("--set", "metrics.enabled=false,metrics.existingSecret=no-such-secret")
    assert "no-such-secret" not in rendered
    assert "metricsCertDir" not in rendered


def test_a_budget_does_not_keep_the_operator_from_being_switched_off() -> None:
    (budget,) = [
        item["spec"]
        for item in objects("--set", "replicas=0,podDisruptionBudget.enabled=true,podDisruptionBudget.minAvailable=1")
        if item["kind"] == "PodDisruptionBudget"
    ]
    assert budget["minAvailable"] == 1


def test_a_changed_setting_makes_new_pods() -> None:
    def checksum(*arguments: str) -> str:
        deployment = next(item for item in objects(*arguments) if item["kind"] == "Deployment")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"])

    assert checksum() != checksum("--set", "log.level=debug")


def test_a_spread_constraint_selects_what_it_says_or_the_operators_pods() -> None:
    given = {"matchLabels": {"app": "x"}}
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    constraints = [{**constraint, "labelSelector": given}, constraint]
    items = objects("--set-json", f"topologySpreadConstraints={json.dumps(constraints)}")
    spec = next(item for item in items if item["kind"] == "Deployment")["spec"]
    first, second = spec["template"]["spec"]["topologySpreadConstraints"]
    assert (first["labelSelector"], second["labelSelector"]) == (given, spec["selector"])


def test_the_names_of_a_long_release_fit() -> None:
    for item in objects("--set", "fullnameOverride=" + "a" * 40, "--values", VALUES["all-on"]):
        assert len(item["metadata"]["name"]) <= 63
