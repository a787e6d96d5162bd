"""Rights follow from declarations."""

from __future__ import annotations

import subprocess
import sys

from kopf_sdk.api import CustomResource, Model
from kopf_sdk.runtime import Controller, Kind, Permission, Watch
from kopf_sdk.runtime.permissions import rules


class Spec(Model):
    size: int = 1


class Toy(CustomResource, group="x.dev", version="v1"):
    spec: Spec


async def reconcile(request: object) -> None:
    """Do nothing."""


def declared(*extra: Permission) -> Controller[Toy]:
    return Controller(
        Toy,
        reconcile,
        owns=[Kind("v1", "Service"), Kind("v1", "ConfigMap"), Kind("apps/v1", "StatefulSet")],
        watches=[Watch(Kind("v1", "Pod"), to_keys=lambda pod, cache: []), Watch(Kind("v1", "Secret"), lambda s, c: [])],
        permissions=[Permission("pods", "", ["delete"], reason="replaces pods"), *extra],
    )


def test_every_right_is_there_and_none_besides() -> None:
    found = [rule.to_json() for rule in rules([declared()]).manager]
    own = ["create", "delete", "get", "list", "patch", "watch"]
    assert found == [
        {"apiGroups": [""], "resources": ["configmaps", "services"], "verbs": own},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete", "list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["statefulsets"], "verbs": own},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": ["x.dev"], "resources": ["toys"], "verbs": ["list", "watch"]},
        {"apiGroups": ["x.dev"], "resources": ["toys/status"], "verbs": ["patch"]},
    ]


def test_names_stay_apart_and_reasons_are_kept() -> None:
    named = Permission("secrets", "", ["get"], reason="reads one", names=["it"])
    found = rules([declared(named)]).manager
    assert [rule.to_json() for rule in found if rule.resource_names] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["it"]}
    ]
    assert next(rule.reason for rule in found if "pods" in rule.resources) == "followed by Toy; replaces pods"


def test_options_leave_out_what_is_off() -> None:
    everything = rules([declared()])
    assert [rule.resources for rule in everything.leader_election] == [("leases",)]
    assert [rule.resources for rule in everything.metrics_auth] == [("tokenreviews",), ("subjectaccessreviews",)]
    least = rules([declared()], leader_election=False, metrics_auth=False, events=False)
    assert (least.leader_election, least.metrics_auth) == ([], [])
    assert not any("events" in rule.resources for rule in least.manager)


def test_declarations_are_read_without_kopf() -> None:
    program = "import kopf_sdk.runtime, kopf_sdk.runtime.permissions, sys; assert 'kopf' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)})
