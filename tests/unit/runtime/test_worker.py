"""Which changes of a resource matter."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from kopf_sdk.runtime.cache import Entry, Source, Store
from kopf_sdk.runtime.controller import Result
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.queue import Queue
from kopf_sdk.runtime.worker import Worker, concerns

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


class Reconciling(Worker[Any]):
    """A worker whose reconcile function always comes to this."""

    def __init__(self, after: float, problems: bool) -> None:
        self.clock = 0.0
        self.queue = Queue(clock=lambda: self.clock)
        reader: Any = self
        self._reader = reader
        self._outcome = Result(after), problems

    @property
    def primary(self) -> Any:
        return self

    def get(self, namespace: str, name: str) -> Entry:
        return entry()

    def doubtful(self, namespace: str) -> bool:
        return False

    async def _reconcile(self, manifest: Any) -> tuple[Result | None, bool]:
        return self._outcome

    async def due(self) -> float:
        """Return after how many seconds the resource is looked at again; 1000 when it is not."""
        await self._attempt("ns/a")
        while self.clock < 1000:
            self.clock += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.queue.get(), 0.001)
                return self.clock
        return self.clock


@pytest.mark.parametrize(
    ("after", "problems", "soonest", "latest"),
    [(0, False, 1000, 1000), (300, False, 300, 300), (0, True, 5, 30), (300, True, 5, 30), (2, True, 2, 2)],
)
async def test_children_that_could_not_be_applied_are_tried_again_soon_whatever_else_is_waited_for(
    after: float, problems: bool, soonest: float, latest: float
) -> None:
    assert soonest <= await Reconciling(after, problems).due() <= latest
