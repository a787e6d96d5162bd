"""The API server and the Python model accept and reject the same resources, and read the same out of them.

As far as the schema goes: rules in CEL (test_rules.py) and the formats that `Format` names are the API server's alone,
so they are taken out here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ValidationError

from integration.generate.conftest import Send
from integration.generate.resources import resources
from kopf_sdk.api import CustomResource
from kopf_sdk.generate import crd_manifests
from memcached_operator.api.v1alpha1 import Memcached
from unit.generate.rows import Everything

EXAMPLES = 2000

_TYPES_WITH_FORMAT = {"datetime_type", "date_type", "uuid_type"}


@pytest.mark.parametrize("kind", [Everything, Memcached])
def test_agreement(kind: type[CustomResource], send: Send, install: Callable[[dict[str, Any]], Any]) -> None:
    crd = _without_rules(crd_manifests([kind])[0])
    group, version = f"agreement.{kind.definition.group}", kind.definition.version
    crd["spec"]["group"] = group
    crd["metadata"]["name"] = f"{kind.definition.plural}.{group}"
    install(crd)
    place = "" if kind.definition.scope == "Cluster" else "namespaces/default/"
    path = f"/apis/{group}/{version}/{place}{kind.definition.plural}?dryRun=All&fieldValidation=Ignore"
    head = {"apiVersion": f"{group}/{version}", "kind": kind.__name__, "metadata": {"name": "example"}}
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    seen = {"accepted": 0, "rejected": 0}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(resources(schema, head))
    def agree(resource: dict[str, Any]) -> None:
        code, answer = send("POST", path, resource)
        assert code in (201, 400, 422), answer
        try:
            model, problems = kind.model_validate(resource), []
        except ValidationError as error:
            model, problems = None, error.errors()
        if code != 201:
            seen["rejected"] += 1
            assert model is None, f"only the API server rejects {_text(resource)}: {answer['message']}"
            return
        seen["accepted"] += 1
        assert model is not None or _is_list_for_text(problems), (
            f"only the Python model rejects {_text(resource)}: {problems}"
        )
        if model is None:
            return
        # What it read out of the manifest is what it reads out of the stored object: defaults, nulls, unknown fields.
        stored = kind.model_validate(answer)
        assert _fields(model) == _fields(stored), _text(resource)
        assert _names(model.to_json().get("spec")) == _names(answer.get("spec")), _text(resource)

    agree()
    assert min(seen.values()) > EXAMPLES / 10, f"the examples are one-sided: {seen}"


def _fields(resource: BaseModel) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in type(resource).model_fields if name not in ("metadata", "status")}


def _names(value: Any) -> Any:
    """Reduce to which fields and entries are there; empty text, lists and maps are as good as absent."""
    if isinstance(value, dict):
        return {name: _names(entry) for name, entry in value.items() if entry not in (None, "", [], {})}
    return [_names(entry) for entry in value] if isinstance(value, list) else ...


def _is_list_for_text(problems: Sequence[Any]) -> bool:
    """Whether nothing is wrong but lists where text with a format is wanted: the API server lets them pass.

    kube-openapi skips the check of the type for them (pkg/validation/validate/type.go); nobody could want that.
    """
    return all(isinstance(one["input"], list) and one["type"] in _TYPES_WITH_FORMAT for one in problems)


def _without_rules(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key != "x-kubernetes-validations"}
        if kept.get("format") == "ipv4":
            del kept["format"]
        return {key: _without_rules(value) for key, value in kept.items()}
    return [_without_rules(value) for value in node] if isinstance(node, list) else node


def _text(resource: Any) -> str:
    return json.dumps(resource, ensure_ascii=False)
