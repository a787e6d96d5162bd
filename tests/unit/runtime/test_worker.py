"""Which changes matter, and what follows from what a reconcile function returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kopf_sdk.api import CustomResource
from kopf_sdk.runtime.cache import Entry, Source, Store
from kopf_sdk.runtime.controller import Controller, Result
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.metrics import Metrics
from kopf_sdk.runtime.reader import Reader, Stores
from kopf_sdk.runtime.request import Request
from kopf_sdk.runtime.worker import PROBLEM_SECONDS, Worker, concerns

TOY = Kind("x.dev/v1", "Toy")


def entry(**changes: Any) -> Entry:
    metadata = {
        "name": "a",
        "namespace": "ns",
        "uid": "1",
        "resourceVersion": "1",
        "generation": 1,
        "labels": {"a": "b"},
    }
    store = Store(Source(TOY))
    store.put({"apiVersion": "x.dev/v1", "kind": "Toy", **changes, "metadata": metadata | changes.get("metadata", {})})
    found = store.get("ns", "a")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({"status": {"ready": 1}}, False),
        ({"metadata": {"resourceVersion": "9"}}, False),
        ({"metadata": {"finalizers": ["x"]}}, False),
        ({"metadata": {"generation": 2}}, True),
        ({"metadata": {"labels": {}}}, True),
        ({"metadata": {"annotations": {"a": "b"}}}, True),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
    ],
)
def test_a_change_of_the_status_alone_does_not_matter(change: dict[str, Any], matters: bool) -> None:
    assert concerns(entry(), entry(**change)) is matters


class Widget(CustomResource, group="x.dev", version="v1"):
    pass


class Zone(CustomResource, group="x.dev", version="v1", scope="Cluster"):
    pass


CONFIG_MAP = Kind("v1", "ConfigMap")


def worker(
    resource: type[Any], reconcile: Callable[[Request[Any]], Awaitable[Result | None]]
) -> tuple[Worker[Any], Reader[Any]]:
    controller: Controller[Any] = Controller(resource, reconcile, owns=[CONFIG_MAP])
    reader: Reader[Any] = Reader(controller, Stores())
    nobody: Any = None
    metrics = Metrics().of(controller.name)
    made = Worker(controller, reader=reader, client=nobody, recorder=nobody, metrics=metrics, resync=600)
    return made, reader


def an_object(kind: str, name: str, namespace: str | None, **metadata: Any) -> dict[str, Any]:
    version = "v1" if kind == "ConfigMap" else "x.dev/v1"
    scope = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", **scope, **metadata},
    }


async def idle(_: Request[Any]) -> Result | None:
    return None


@pytest.mark.parametrize(("resource", "key"), [(Widget, "ns/owner"), (Zone, "owner")])
async def test_a_child_wakes_its_owner(resource: type[Any], key: str) -> None:
    made, reader = worker(resource, idle)
    owner = {"apiVersion": "x.dev/v1", "kind": resource.__name__, "name": "owner", "uid": "owner", "controller": True}
    reader.store(CONFIG_MAP).put(an_object("ConfigMap", "child", "ns", ownerReferences=[owner]))
    assert await made.queue.get() == key


async def test_problems_are_looked_at_again_however_late_the_function_wants_to_be_called() -> None:
    async def reconcile(request: Request[Any]) -> Result:
        request.has_problems = True
        return Result(requeue_after=86400)

    made, reader = worker(Widget, reconcile)
    reader.primary.put(an_object("Widget", "a", "ns"))
    assert await made._attempt("ns/a") == "requeue_after"
    assert made.queue._due["ns/a"] - made.queue.clock() <= PROBLEM_SECONDS * 1.1
    assert made.queue._failures == {"ns/a": 1}


async def test_what_is_remembered_of_a_resource_can_be_forgotten_with_it() -> None:
    gone: list[str] = []
    made, reader = worker(Widget, idle)
    made.controller.gone = gone.append
    reader.primary.put(an_object("Widget", "a", "ns"))
    assert await made.queue.get() == "ns/a"
    assert await made._attempt("ns/a") == "success"
    reader.primary.remove("a")
    made.queue.done("ns/a")
    assert gone == []
    assert await made.queue.get() == "ns/a"
    assert await made._attempt("ns/a") == "success"
    assert gone == ["ns/a"]
