"""What a reconcile function writes beside its children."""

from __future__ import annotations

import datetime as dt
from typing import Any

from kopf_sdk.api import CustomResource
from kopf_sdk.runtime.controller import Controller, Result
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.reader import Reader, Stores
from kopf_sdk.runtime.request import Request

DEPLOYMENT = Kind("apps/v1", "Deployment")


class Widget(CustomResource, group="x.dev", version="v1"):
    pass


def an_object(version: str, kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


class Server:
    """Answers every request with the same object."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    async def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.answer


def request(answer: dict[str, Any]) -> Request[Widget]:
    async def reconcile(_: Request[Widget]) -> Result | None:
        return None

    widget = an_object("x.dev/v1", "Widget", "a")
    reader = Reader(Controller(Widget, reconcile, owns=[DEPLOYMENT]), Stores())
    reader.primary.put(widget)
    reader.store(DEPLOYMENT).put(an_object("apps/v1", "Deployment", "d"))
    nobody: Any = None
    client: Any = Server(answer)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return Request(
        Widget.model_validate(widget),
        widget,
        cache=reader,
        applier=nobody,
        recorder=nobody,
        client=client,
        now=lambda: now,
    )


async def test_what_was_patched_is_read_at_once() -> None:
    patched = an_object("apps/v1", "Deployment", "d") | {"spec": {"replicas": 3}}
    patched["metadata"]["resourceVersion"] = "2"
    asked = request(patched)
    target = asked.get(DEPLOYMENT, "d")
    assert target is not None
    await asked.patch(target, {"spec": {"replicas": 3}})
    assert (asked.get(DEPLOYMENT, "d") or {})["spec"] == {"replicas": 3}


async def test_the_answer_of_a_subresource_of_another_kind_does_not_replace_the_object() -> None:
    scale = an_object("autoscaling/v1", "Scale", "d")
    scale["metadata"]["resourceVersion"] = "2"
    asked = request(scale)
    target = asked.get(DEPLOYMENT, "d")
    assert target is not None
    assert await asked.patch(target, {"spec": {"replicas": 3}}, subresource="scale") == scale
    assert (asked.get(DEPLOYMENT, "d") or {})["kind"] == "Deployment"
