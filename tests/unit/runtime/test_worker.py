"""Which changes of a resource matter."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.runtime.cache import Entry, Source, Store
from kopf_sdk.runtime.kinds import Kind
from kopf_sdk.runtime.worker import concerns

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
