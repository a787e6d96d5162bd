"""Permissions become named templates; roles for users follow from the kinds."""

from __future__ import annotations

import yaml

from kopf_sdk.api import CustomResource
from kopf_sdk.generate.rbac import rules_template, user_role_rules, user_roles_template
from kopf_sdk.runtime.permissions import PolicyRule, Rules
from memcached_operator.api.v1alpha1 import Memcached
from unit.generate.rows import Everything

RULES = Rules(
    manager=[
        PolicyRule(("",), ("pods",), ("get", "list"), reason="reads pods"),
        PolicyRule(("apps",), ("deployments",), ("get",), ("one",)),
    ],
    leader_election=[PolicyRule(("coordination.k8s.io",), ("leases",), ("create", "get", "update"))],
    metrics_auth=[],
)


def defined(text: str, name: str) -> str:
    """Return what is between `define` and `end`."""
    return text.split(f'{{{{- define "demo.{name}" -}}}}\n', 1)[1].split("\n{{- end }}", 1)[0]


def test_rules_are_those_that_were_declared() -> None:
    text = rules_template(RULES, [Memcached], "demo", "somewhere")
    assert yaml.safe_load(defined(text, "managerRules")) == [rule.to_json() for rule in RULES.manager]
    assert yaml.safe_load(defined(text, "leaderElectionRules")) == [rule.to_json() for rule in RULES.leader_election]
    assert yaml.safe_load(defined(text, "metricsAuthRules")) == []
    assert defined(text, "managerRules").startswith('# reads pods\n- apiGroups: [""]\n  resources: [pods]\n')


def test_definitions_that_a_webhook_converts_are_listed() -> None:
    class Toy(CustomResource, group="example.com", version="v1", conversion="Webhook"):
        pass

    text = rules_template(RULES, [Memcached, Toy, Toy], "demo", "somewhere")
    assert yaml.safe_load(defined(text, "convertedDefinitions")) == ["toys.example.com"]
    assert "convertedDefinitions" not in rules_template(RULES, [Memcached], "demo", "somewhere")


def test_user_roles() -> None:
    viewer = user_role_rules([Everything, Memcached], "viewer")
    assert [rule["apiGroups"] for rule in viewer] == [["cache.example.com"]] * 3 + [["markers.example.com"]] * 3
    assert {verb for rule in viewer for verb in rule["verbs"]} == {"get", "list", "watch"}
    editor = {rule["resources"][0]: rule["verbs"] for rule in user_role_rules([Memcached], "editor")}
    assert "delete" in editor["memcacheds"]
    assert editor["memcacheds/status"] == ["get"]
    assert editor["memcacheds/scale"] == ["get", "patch", "update"]


def test_user_roles_are_aggregated_to_the_built_in_ones() -> None:
    text = user_roles_template("demo", "somewhere")
    for role in ("admin", "edit", "view"):
        assert text.count(f'rbac.authorization.k8s.io/aggregate-to-{role}: "true"') == 1
