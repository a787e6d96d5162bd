"""Admission and conversion answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonpatch
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from kopf_sdk.api import CustomResource, Model
from kopf_sdk.runtime import Defaulting, DeniedError, Manifest, Validating
from kopf_sdk.runtime.metrics import Metrics
from kopf_sdk.runtime.webhook import json_patch, webhook_app


class Spec(Model):
    size: int = 1


class Toy(CustomResource, group="toys.x.dev", version="v1beta1"):
    spec: Spec


def toy(**spec: Any) -> Manifest:
    return {"apiVersion": "toys.x.dev/v1beta1", "kind": "Toy", "metadata": {"name": "x"}, "spec": spec}


def validate(new: Toy | None, old: Toy | None) -> list[str]:
    if new is None:
        raise DeniedError("not now")
    if old is not None and old.spec.size > new.spec.size:
        raise DeniedError("spec.size: must not shrink")
    return ["big"] if new.spec.size > 10 else []


VALIDATING = Validating(Toy, validate)


def test_paths_are_kubebuilders() -> None:
    assert VALIDATING.path == "/validate-toys-x-dev-v1beta1-toy"
    assert Defaulting(Toy, lambda manifest: manifest).path == "/mutate-toys-x-dev-v1beta1-toy"


def test_validation() -> None:
    assert VALIDATING.review({"object": toy(size=1)}) == {"allowed": True}
    assert VALIDATING.review({"object": toy(size=11)}) == {"allowed": True, "warnings": ["big"]}
    shrunk = VALIDATING.review({"object": toy(size=1), "oldObject": toy(size=2)})
    assert (shrunk["allowed"], shrunk["status"]["code"]) == (False, 422)
    assert shrunk["status"]["message"] == "spec.size: must not shrink"
    assert not VALIDATING.review({"object": None, "oldObject": toy(size=1)})["allowed"]


def test_what_the_model_refuses_is_denied_with_its_path() -> None:
    answer = VALIDATING.review({"object": toy(size="many")})
    assert not answer["allowed"]
    assert answer["status"]["message"].startswith("spec.size: ")


def test_what_is_stored_wrong_may_be_repaired_and_deleted() -> None:
    assert VALIDATING.review({"object": toy(size=1), "oldObject": toy(size="many")})["allowed"]
    leaving = toy(size="many")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert VALIDATING.review({"object": leaving, "oldObject": leaving})["allowed"]


def test_defaulting_answers_with_a_patch() -> None:
    def default(manifest: Manifest) -> Manifest:
        manifest["spec"].setdefault("size", 3)
        return manifest

    answer = Defaulting(Toy, default).review({"object": toy()})
    assert json.loads(base64.b64decode(answer["patch"])) == [{"op": "add", "path": "/spec/size", "value": 3}]
    assert Defaulting(Toy, default).review({"object": toy(size=1)}) == {"allowed": True}


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text("a~/", max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("a~/", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
DOCUMENT = st.dictionaries(st.text("ab~/", max_size=3), JSON, max_size=4)


@given(DOCUMENT, DOCUMENT)
def test_a_patch_leads_from_one_document_to_the_other(before: Any, after: Any) -> None:
    assert json.dumps(jsonpatch.apply_patch(before, json_patch(before, after)), sort_keys=True) == json.dumps(
        after, sort_keys=True
    )


@pytest.mark.parametrize("review", ["no JSON", "[]", '{"request": []}', '{"request": {"uid": "1", "object": null}}'])
async def test_what_is_no_review_is_answered_with_400_and_counted_so(review: str) -> None:
    metrics = Metrics()
    async with TestClient(TestServer(webhook_app([VALIDATING], metrics))) as client:
        answer = await client.post(VALIDATING.path, data=review, headers={"Content-Type": "application/json"})
        assert answer.status == 400
    labels = {"webhook": VALIDATING.path, "code": "400"}
    assert metrics.registry.get_sample_value("controller_runtime_webhook_requests_total", labels) == 1
