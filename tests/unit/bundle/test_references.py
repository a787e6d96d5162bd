"""Names in pods that mean something else under OLM."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.references import InstallNamespace, expand_in_pod, names

DISTINCT = InstallNamespace("my-namespace", distinct=True)
COMMON = InstallNamespace("operator", distinct=False)


@pytest.mark.parametrize(
    ("namespace", "text", "replaced"),
    [
        (DISTINCT, "--ns=my-namespace", "--ns=X"),
        (DISTINCT, "svc.my-namespace.svc:443", "svc.X.svc:443"),
        (DISTINCT, "my-namespace-2", "my-namespace-2"),
        (COMMON, "--leader-namespace=operator", "--leader-namespace=X"),
        (COMMON, "hook.operator.svc", "hook.X.svc"),
        (COMMON, "--name=operator", "--name=operator"),
    ],
)
def test_where_the_namespace_is_recognised(namespace: InstallNamespace, text: str, replaced: str) -> None:
    assert namespace.replace(text, "X") == replaced


def test_mentions_are_found_with_their_path() -> None:
    body = {"data": {"a": "x: my-namespace", "b": "other"}, "list": [{"matchNames": ["my-namespace"]}]}

    assert list(DISTINCT.mentions(body)) == ["data.a", "list[0].matchNames[0]"]


def pod(**container: Any) -> dict[str, Any]:
    return {"containers": [{"name": "m", **container}]}


def test_a_variable_is_added_in_front_where_it_is_needed() -> None:
    spec = pod(args=["--ns=my-namespace"], env=[{"name": "URL", "value": "http://a.my-namespace.svc"}])

    changes = expand_in_pod(spec, DISTINCT, {})

    container = spec["containers"][0]
    assert container["args"] == ["--ns=$(POD_NAMESPACE)"]
    assert container["env"] == [
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "URL", "value": "http://a.$(POD_NAMESPACE).svc"},
    ]
    assert len(changes) == 2


def test_a_variable_that_is_there_is_used() -> None:
    there = {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    spec = pod(args=["--ns=my-namespace"], env=[there])

    expand_in_pod(spec, DISTINCT, {})

    assert spec["containers"][0] == {"name": "m", "args": ["--ns=$(NS)"], "env": [there]}


def test_a_taken_name_is_avoided() -> None:
    spec = pod(args=["my-namespace"], env=[{"name": "POD_NAMESPACE", "value": "fixed"}])

    expand_in_pod(spec, DISTINCT, {})

    assert spec["containers"][0]["args"] == ["$(OLM_INSTALL_NAMESPACE)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hook.my-namespace.svc", "op-service.$(POD_NAMESPACE).svc"),
        ("hook.$(NS).svc.cluster.local", "op-service.$(NS).svc.cluster.local"),
        ("my-hook.other.svc", "my-hook.other.svc"),
        ("hook", "hook"),
    ],
)
def test_dns_names_of_the_webhook_service(text: str, expected: str) -> None:
    spec = pod(args=[text])

    expand_in_pod(spec, DISTINCT, {"hook": "op-service"})

    assert spec["containers"][0]["args"] == [expected]


def test_whole_names() -> None:
    assert names("--secret=tls", "tls")
    assert not names("--secret=my-tls", "tls")
    assert not names("--secret=tls-2", "tls")
