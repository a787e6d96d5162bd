"""Webhook definitions: names, ports, what OLM refuses."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.names import dns1123_subdomain, label_value
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.serving import Backend, ServingPorts, find_backend
from kopf_sdk.bundle.webhooks import forbidden_rule, plan_webhooks


def obj(kind: str, name: str, **rest: Any) -> Object:
    return Object({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}, **rest})


def deployment(name: str = "op", **labels: str) -> Object:
    ports = [{"name": "hooks", "containerPort": 9443}]
    template = {
        "metadata": {"labels": labels or {"app": name}},
        "spec": {"containers": [{"name": "m", "ports": ports}]},
    }
    return obj("Deployment", name, spec={"template": template})


def service(**spec: Any) -> Object:
    return obj(
        "Service", "hook", spec={"selector": {"app": "op"}, "ports": [{"port": 443, "targetPort": "hooks"}], **spec}
    )


def configuration(*names: str, kind: str = "ValidatingWebhookConfiguration", **fields: Any) -> Object:
    client = {"service": {"name": "hook", "namespace": "n", "path": "/v"}}
    return obj(
        kind,
        f"c-{kind}",
        webhooks=[{"name": name, "clientConfig": client, "sideEffects": "None", **fields} for name in names],
    )


def plan(*objects: Object) -> Any:
    return plan_webhooks([service(), *objects], [deployment()], "n", ServingPorts())


@pytest.mark.parametrize(
    "name", ["a.b.c", "Upper_Case.example.com", "-x-.example.com", "x" * 80 + ".example.com", "a..b"]
)
def test_names_are_legal(name: str) -> None:
    generated = plan(configuration(name)).definitions[0]["generateName"]

    assert dns1123_subdomain(generated) == []
    assert label_value(generated) == []


def test_names_are_unique_over_all_types() -> None:
    definitions = plan(
        configuration("a.b.c", "a.b.c"), configuration("a.b.c", kind="MutatingWebhookConfiguration")
    ).definitions

    assert len({definition["generateName"] for definition in definitions}) == 3


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"clientConfig": {"url": "https://x"}}, "called by URL"),
        ({"clientConfig": {"service": {"name": "other", "namespace": "n"}}}, "not in the rendering"),
        (
            {"clientConfig": {"service": {"name": "hook", "namespace": "n", "port": 99}}},
            "leads port 99 to no Deployment",
        ),
        ({"rules": [{"apiGroups": ["*"]}]}, "all API groups"),
    ],
)
def test_webhooks_without_a_place(changed: dict[str, Any], reason: str) -> None:
    result = plan(configuration("a.b.c", **changed))

    assert reason in result.fates[0].reason
    assert result.definitions == []


def test_a_service_without_selector_picks_nothing() -> None:
    assert find_backend(service(selector={}), 443, [deployment()]) is None


def test_target_port_by_name_number_and_absence() -> None:
    assert find_backend(service(), 443, [deployment()]) == Backend("op", "hook", 443, 9443)
    assert find_backend(service(ports=[{"port": 443, "targetPort": 1234}]), 443, [deployment()]) == Backend(
        "op", "hook", 443, 1234
    )
    assert find_backend(service(ports=[{"port": 8443}]), 8443, [deployment()]) == Backend("op", "hook", 8443, 8443)


def test_of_two_deployments_the_one_with_the_port_answers() -> None:
    other = obj(
        "Deployment", "a", spec={"template": {"metadata": {"labels": {"app": "op"}}, "spec": {"containers": [{}]}}}
    )

    assert find_backend(service(), 443, [other, deployment()]) == Backend("op", "hook", 443, 9443)


def test_one_port_number_leads_to_one_target() -> None:
    ports = ServingPorts()

    claimed = [ports.claim(Backend("op", "s", 443, target)) for target in (9443, 9443, 9444)]

    assert claimed == [443, 443, 9444]


def test_forbidden_rules() -> None:
    assert forbidden_rule([{"apiGroups": ["operators.coreos.com"]}])
    assert forbidden_rule(
        [{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["ValidatingWebhookConfigurations"]}]
    )
    assert not forbidden_rule([{"apiGroups": [""], "resources": ["*"]}])


def test_conversion_webhooks_of_one_path_are_one_definition() -> None:
    client = {"service": {"name": "hook", "namespace": "n", "path": "/convert"}}
    conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client}}
    crds = [
        obj("CustomResourceDefinition", f"{p}.x.io", spec={"names": {"plural": p}, "conversion": conversion})
        for p in ("bs", "as")
    ]

    result = plan(*crds)

    assert [definition["conversionCRDs"] for definition in result.definitions] == [["as.x.io", "bs.x.io"]]


def test_a_crd_may_name_the_namespace_that_its_project_has_in_mind() -> None:
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"service": {"name": "hook", "namespace": "op-system", "path": "/convert"}}},
    }
    crd = obj("CustomResourceDefinition", "xs.example.com", spec={"names": {"plural": "xs"}, "conversion": conversion})

    found = plan(crd)

    assert found.notices == []
    assert [(item["deploymentName"], item["conversionCRDs"]) for item in found.definitions] == [
        ("op", ["xs.example.com"])
    ]


def test_lost_selectors_are_told_once_for_a_configuration() -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]
    lost = configuration("a.x.io", "b.x.io", namespaceSelector={"matchLabels": {"a": "b"}}, rules=rules)
    harmless = configuration("c.x.io", matchConditions=[{"name": "a"}], rules=rules, failurePolicy="Ignore")

    both, other = plan(lost, harmless).notices

    assert both.message.startswith("namespaceSelector is lost")
    assert both.message.endswith(": a.x.io, b.x.io")
    assert both.hint.endswith("nobody can make a pod while the operator is down, not even its own: a.x.io, b.x.io.")
    assert other.message.endswith(": c.x.io")
    assert "pod" not in other.hint
