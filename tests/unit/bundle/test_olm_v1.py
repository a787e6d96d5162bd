"""OLM v1's rules for bundles, one after the other, and what it makes of a bundle.

There is no OLM v1 to compare with here: the wording and the objects are those of operator-controller's source.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from kopf_sdk.bundle.bundle_dir import Bundle, bundle_from_files
from kopf_sdk.bundle.expand import ALL_NAMESPACES, expand
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.bundle.validate import SUITES

Data = dict[str, Any]

CRD: Data = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "xs.example.com"},
    "spec": {"group": "example.com", "names": {"kind": "X", "plural": "xs"}},
}
MOUNT = {"name": "mine", "mountPath": "/tmp/k8s-webhook-server/serving-certs"}
POD: Data = {
    "serviceAccountName": "op",
    "volumes": [{"name": "mine", "secret": {"secretName": "mine"}}, {"name": "data", "emptyDir": {}}],
    "containers": [{"name": "manager", "volumeMounts": [MOUNT, {"name": "data", "mountPath": "/data"}]}],
}
WEBHOOK: Data = {
    "type": "ValidatingAdmissionWebhook",
    "generateName": "vx.example.com",
    "deploymentName": "op",
    "containerPort": 443,
    "targetPort": 9443,
    "webhookPath": "/validate",
    "admissionReviewVersions": ["v1"],
    "rules": [{"apiGroups": ["example.com"], "resources": ["xs"]}],
}
CONVERSION: Data = {
    "type": "ConversionWebhook",
    "generateName": "cx.example.com",
    "deploymentName": "op",
    "conversionCRDs": ["xs.example.com"],
    "admissionReviewVersions": ["v1"],
}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
CSV: Data = {
    "apiVersion": "operators.coreos.com/v1alpha1",
    "kind": "ClusterServiceVersion",
    "metadata": {"name": "op.v1.0.0", "annotations": {"kept": "yes"}},
    "spec": {
        "installModes": [{"type": "AllNamespaces", "supported": True}],
        "customresourcedefinitions": {"owned": [{"name": "xs.example.com", "kind": "X", "version": "v1"}]},
        "install": {
            "strategy": "deployment",
            "spec": {
                "permissions": [{"serviceAccountName": "op", "rules": [RULE]}],
                "deployments": [
                    {
                        "name": "op",
                        "spec": {"selector": {"matchLabels": {"app": "op"}}, "template": {"spec": POD}},
                    }
                ],
            },
        },
        "webhookdefinitions": [WEBHOOK, CONVERSION],
    },
}


class Parts:
    """What a test may break before it becomes a bundle."""

    def __init__(self) -> None:
        self.csv, self.files = copy.deepcopy(CSV), [copy.deepcopy(CRD)]
        self.spec = self.csv["spec"]
        self.deployments = self.spec["install"]["spec"]["deployments"]
        self.webhook, self.conversion = self.spec["webhookdefinitions"]
        self.package = "op"
        self.dependencies: list[Data] = []

    def bundle(self) -> Bundle:
        named = {f"manifests/{number}.yaml": data for number, data in enumerate([self.csv, *self.files])}
        named["metadata/annotations.yaml"] = {
            "annotations": {"operators.operatorframework.io.bundle.package.v1": self.package}
        }
        if self.dependencies:
            named["metadata/dependencies.yaml"] = {"dependencies": self.dependencies}
        return bundle_from_files("bundle", {path: json.dumps(data).encode() for path, data in named.items()})


def findings(parts: Parts) -> dict[str, str]:
    bundle = parts.bundle()
    assert not bundle.problems
    return {found.rule: found.message for rule in SUITES["olm-v1"] for found in rule(bundle)}


def twice(items: list[Data]) -> None:
    items.append(copy.deepcopy(items[0]))


def unsupported(parts: Parts) -> None:
    parts.files.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}})


def too_generic(parts: Parts) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "admin-tool"}}
    parts.files.append(role)


BREAKAGES: list[tuple[str, Callable[[Parts], object], str]] = [
    ("v1/deployment-unique", lambda p: twice(p.deployments), "duplicate strategy deployment spec 'op'"),
    ("v1/deployment-name", lambda p: p.deployments[0].update(name="Op_"), "strategy deployment name 'Op_'"),
    ("v1/crd-unique", lambda p: twice(p.files), "duplicate custom resource definition 'xs.example.com'"),
    ("v1/crd-missing", lambda p: p.files.clear(), "definition 'xs.example.com' not found in bundle"),
    ("v1/package", lambda p: setattr(p, "package", ""), "package name is empty"),
    (
        "v1/conversion-modes",
        lambda p: p.spec["installModes"].append({"type": "OwnNamespace", "supported": True}),
        "supports install modes [AllNamespaces OwnNamespace]",
    ),
    (
        "v1/conversion-owned",
        lambda p: p.conversion.update(conversionCRDs=["ys.example.com"]),
        "'cx.example.com' references custom resource definition 'ys.example.com' not owned",
    ),
    (
        "v1/conversion-unique",
        lambda p: p.spec["webhookdefinitions"].append({**CONVERSION, "generateName": "dx.example.com"}),
        "[cx.example.com,dx.example.com] reference same custom resource definition",
    ),
    ("v1/webhook-deployment", lambda p: p.webhook.update(deploymentName="else"), "non-existent deployment 'else'"),
    ("v1/webhook-name", lambda p: p.webhook.update(generateName="V_X"), "has invalid name 'V_X'"),
    ("v1/webhook-unique", lambda p: twice(p.spec["webhookdefinitions"]), "duplicate webhook 'vx.example.com'"),
    (
        "v1/webhook-rules",
        lambda p: p.webhook.update(rules=[{"apiGroups": ["*"], "resources": ["*"]}]),
        'webhook "vx.example.com" contains forbidden rule',
    ),
    ("v1/kind", unsupported, 'unsupported resource "once" with kind "Job"'),
    (
        "v1/all-namespaces",
        lambda p: p.spec.update(installModes=[{"type": "OwnNamespace", "supported": True}]),
        "AllNamespaces only",
    ),
    ("v1/dependencies", lambda p: p.dependencies.append({"type": "olm.package"}), "dependencies (olm.package)"),
    (
        "v1/api-services",
        lambda p: p.spec.update(apiservicedefinitions={"owned": [{"group": "g", "version": "v1"}]}),
        "aggregated APIs",
    ),
    ("v1/generic-name", too_generic, "ClusterRole admin-tool is cluster-wide"),
]


@pytest.mark.parametrize(("rule", "damage", "words"), BREAKAGES, ids=[item[0] for item in BREAKAGES])
def test_what_it_refuses(rule: str, damage: Callable[[Parts], object], words: str) -> None:
    parts = Parts()
    assert findings(parts) == {}
    damage(parts)
    assert words in findings(parts)[rule]


def test_its_profile_has_these_rules_and_the_others_have_not() -> None:
    assert [name for name, profile in PROFILES.items() if "olm-v1" in profile.suites] == ["olm-v1"]
    found = [finding for rule in SUITES["olm-v1"] for finding in rule(Parts().bundle())]
    assert not [finding for finding in found if finding.level is Level.ERROR]


def made(*targets: str, change: Callable[[Parts], object] = lambda parts: None) -> dict[str, list[Data]]:
    """What it makes of the bundle in namespace `home`, by kind."""
    parts = Parts()
    change(parts)
    objects: dict[str, list[Data]] = {}
    for item in expand(parts.bundle(), version="v1", namespace="home", targets=targets or ALL_NAMESPACES):
        objects.setdefault(item["kind"], []).append(item)
    return objects


def test_permissions_become_cluster_wide_in_all_namespaces_and_nothing_else() -> None:
    objects = made()
    assert "Role" not in objects
    (role,) = objects["ClusterRole"]
    assert role["rules"] == [
        RULE,
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
    ]
    assert [binding["roleRef"]["name"] for binding in objects["ClusterRoleBinding"]] == [role["metadata"]["name"]]


def test_otherwise_they_are_granted_in_the_watched_namespaces_only() -> None:
    objects = made("a", "b")
    assert "ClusterRole" not in objects
    assert [role["metadata"]["namespace"] for role in objects["Role"]] == ["a", "b"]
    subjects = [binding["subjects"] for binding in objects["RoleBinding"]]
    assert subjects == [[{"kind": "ServiceAccount", "name": "op", "namespace": "home"}]] * 2


def test_its_deployment_has_its_certificate_in_place_of_what_was_there_and_no_condition() -> None:
    (deployment,) = made()["Deployment"]
    assert deployment["spec"]["revisionHistoryLimit"] == 1
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"] == {
        "kept": "yes",
        "olm.operatorNamespace": "home",
        "olm.targetNamespaces": "",
    }
    assert {v["name"]: (v.get("secret") or {}).get("secretName") for v in template["spec"]["volumes"]} == {
        "data": None,
        "webhook-cert": "op-service-cert",
        "apiservice-cert": "op-service-cert",
    }
    (container,) = template["spec"]["containers"]
    assert {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]} == {
        "data": "/data",
        "webhook-cert": MOUNT["mountPath"],
        "apiservice-cert": "/apiserver.local.config/certificates",
    }
    assert "env" not in container


def test_webhooks_and_conversions_go_through_its_service_and_see_the_watched_namespaces() -> None:
    objects = made("a")
    (service,) = objects["Service"]
    assert service["metadata"] == {"name": "op-service", "namespace": "home"}
    assert service["spec"]["selector"] == {"app": "op"}
    assert {"name": "443", "port": 443, "targetPort": 9443} in service["spec"]["ports"]
    ((hook,),) = (item["webhooks"] for item in objects["ValidatingWebhookConfiguration"])
    reference = {"namespace": "home", "name": "op-service", "port": 443}
    assert hook["clientConfig"]["service"] == {**reference, "path": "/validate"}
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a"]}
    assert hook["namespaceSelector"] == {"matchExpressions": [expression]}
    assert "namespaceSelector" not in made()["ValidatingWebhookConfiguration"][0]["webhooks"][0]
    (crd,) = objects["CustomResourceDefinition"]
    assert crd["spec"]["conversion"]["webhook"]["clientConfig"] == {"service": {**reference, "path": "/"}}


def test_it_serves_no_aggregated_apis() -> None:
    owned = [{"group": "g", "version": "v1", "deploymentName": "op"}]

    def aggregated(parts: Parts) -> None:
        parts.spec.update(apiservicedefinitions={"owned": owned}, webhookdefinitions=[])

    objects = made(change=aggregated)
    assert not objects.keys() & {"APIService", "Service", "Secret"}


def test_files_go_where_the_operator_is() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    (found,) = made(change=lambda parts: parts.files.append(config))["ConfigMap"]
    assert found["metadata"] == {"name": "settings", "namespace": "home"}
