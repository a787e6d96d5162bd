"""The cache: newest wins, nothing that is gone comes back."""

from __future__ import annotations

from typing import Any

from kopf_sdk.runtime.cache import Change, Source, Store
from kopf_sdk.runtime.kinds import Kind

CONFIG_MAP = Kind("v1", "ConfigMap")


def make(
    name: str, version: int, *, uid: str = "", owner: str = "", data: str = "x", **metadata: Any
) -> dict[str, Any]:
    owners = [{"apiVersion": "v1", "kind": "Toy", "name": "toy", "uid": owner, "controller": True}] if owner else []
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "ownerReferences": owners,
            **metadata,
        },
        "data": {"key": data},
    }


def watched() -> tuple[Store, list[Change]]:
    store = Store(Source(CONFIG_MAP), "toy-controller")
    changes: list[Change] = []
    store.listeners.append(changes.append)
    return store, changes


def test_an_older_version_never_replaces_a_newer_one() -> None:
    store, changes = watched()
    store.put(make("a", 5, data="new"))
    store.put(make("a", 4, data="old"))
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.manifest()["data"] == {"key": "new"}
    assert entry.manifest()["metadata"]["resourceVersion"] == "5"
    assert len(changes) == 1


def test_a_reader_gets_a_copy_of_its_own() -> None:
    store, _ = watched()
    store.put(make("a", 1))
    first = store.get("ns", "a")
    assert first is not None
    first.manifest()["data"]["key"] = "spoiled"
    assert first.manifest()["data"]["key"] == "x"


def test_managed_fields_are_trimmed_to_our_own() -> None:
    store, _ = watched()
    ours = {
        "f:data": {"f:key": {}},
        "f:metadata": {"f:ownerReferences": {'k:{"uid":"1"}': {}}, "f:labels": {"f:a": {}}},
    }
    managed = [
        {"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:other": {}}}},
        {"manager": "toy-controller", "operation": "Apply", "apiVersion": "v1", "fieldsV1": ours},
    ]
    store.put(make("a", 1, managedFields=managed))
    store.put(make("b", 2, managedFields=managed))
    a, b = store.get("ns", "a"), store.get("ns", "b")
    assert a is not None
    assert b is not None
    assert a.fields == '{"f:data":{"f:key":{}},"f:metadata":{"f:labels":{"f:a":{}}}}'
    assert a.fields is b.fields
    assert "managedFields" not in a.manifest()["metadata"]


def test_a_change_of_the_version_alone_is_no_change() -> None:
    store, changes = watched()
    store.put(make("a", 1))
    store.put(make("a", 2))
    assert len(changes) == 1
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.version == 2


def test_where_only_metadata_is_watched_a_new_version_is_all_that_shows_of_other_content() -> None:
    store = Store(Source(CONFIG_MAP, metadata_only=True), "toy-controller")
    changes: list[Change] = []
    store.listeners.append(changes.append)
    for version in (1, 2, 2):
        store.put(make("a", version))
    assert len(changes) == 2


def test_what_is_deleted_does_not_come_back_by_a_late_event() -> None:
    store, changes = watched()
    store.put(make("a", 1))
    store.remove("uid-a")
    store.put(make("a", 2))
    assert store.get("ns", "a") is None
    assert [change.new is None for change in changes] == [False, True]


def test_what_left_a_label_selector_may_come_back_under_the_same_uid() -> None:
    store, _ = watched()
    store.put(make("a", 1))
    store.remove("uid-a", 2)
    store.put(make("a", 1))
    assert store.get("ns", "a") is None
    store.put(make("a", 3))
    assert store.get("ns", "a") is not None


def test_a_list_takes_away_what_it_does_not_have_but_not_what_is_newer() -> None:
    store, _ = watched()
    store.put(make("ghost", 1))
    store.put(make("alive", 2))
    store.put(make("ours", 11))
    elsewhere = make("elsewhere", 1)
    elsewhere["metadata"]["namespace"] = "other"
    store.put(elsewhere)
    ghosts = store.prune(["uid-alive"], 10, "ns")
    assert [ghost.name for ghost in ghosts] == ["ghost"]
    assert sorted(entry.name for entry in store) == ["alive", "elsewhere", "ours"]


def test_a_new_object_of_the_same_name_takes_the_place_of_the_old_one_and_keeps_it() -> None:
    store, changes = watched()
    store.put(make("a", 1, uid="old"))
    store.put(make("a", 3, uid="new"))
    store.put(make("a", 2, uid="old"))
    store.remove("old")
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.uid == "new"
    assert len(store) == 1
    assert [(c.old and c.old.uid, c.new and c.new.uid) for c in changes] == [
        (None, "old"),
        ("old", None),
        (None, "new"),
    ]


def test_children_are_found_by_their_owner() -> None:
    store, _ = watched()
    store.put(make("b", 1, owner="1"))
    store.put(make("a", 2, owner="1"))
    store.put(make("c", 3, owner="2"))
    assert [entry.name for entry in store.owned_by("1")] == ["a", "b"]
    store.put(make("a", 4, owner="2"))
    assert [entry.name for entry in store.owned_by("1")] == ["b"]
    store.remove("uid-b")
    assert store.owned_by("1") == []


def test_a_kind_that_went_and_came_back_is_taken_in_again() -> None:
    store, _ = watched()
    store.put(make("a", 1))
    store.clear()
    assert len(store) == 0
    store.put(make("a", 1))
    assert len(store) == 1


def test_selecting_by_labels_and_namespace() -> None:
    store, _ = watched()
    store.put(make("a", 1, labels={"app": "x", "tier": "1"}))
    store.put(make("b", 2, labels={"app": "x"}))
    assert [entry.name for entry in store.select("ns", {"app": "x"})] == ["a", "b"]
    assert [entry.name for entry in store.select(None, {"tier": "1"})] == ["a"]
    assert store.select("other", {}) == []


def test_a_request_carries_the_selectors_that_there_are() -> None:
    assert Source(CONFIG_MAP).selectors == {}
    both = Source(CONFIG_MAP, "app=web", field_selector="spec.nodeName=one")
    assert both.selectors == {"labelSelector": "app=web", "fieldSelector": "spec.nodeName=one"}


def test_a_selection_follows_labels_that_come_change_and_go() -> None:
    store, _ = watched()
    store.put(make("a", 1, labels={"app": "x"}))
    assert [entry.name for entry in store.select(None, {"app": "x"})] == ["a"]
    store.put(make("b", 2, labels={"app": "x", "tier": "1"}))
    store.put(make("a", 3, labels={"app": "y"}))
    assert [entry.name for entry in store.select(None, {"app": "x"})] == ["b"]
    assert [entry.name for entry in store.select(None, {"app": "y"})] == ["a"]
    assert store.select(None, {"app": "y", "tier": "1"}) == []
    store.remove("uid-b")
    assert store.select(None, {"app": "x"}) == []
    store.put(make("c", 4, uid="again", labels={"app": "y"}))
    store.put(make("a", 5, uid="another", labels={"app": "z"}))
    assert [entry.name for entry in store.select(None, {"app": "y"})] == ["c"]


def test_a_verdict_outlives_a_new_status_and_nothing_else() -> None:
    for change, kept in (
        ({}, True),
        ({"generation": 2}, False),
        ({"labels": {"a": "b"}}, False),
        ({"annotations": {"a": "b"}}, False),
        ({"owner": "other"}, False),
        ({"managedFields": [{"manager": "toy-controller", "operation": "Apply", "apiVersion": "v1"}]}, False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, False),
    ):
        store, _ = watched()
        before: dict[str, Any] = {"owner": "1", "generation": 1, **change}
        store.put(make("a", 1, owner="1", generation=1))
        entry = store.get("ns", "a")
        assert entry is not None
        entry.settled = 7
        store.put(make("a", 2, data="status", **before))
        entry = store.get("ns", "a")
        assert entry is not None
        assert (entry.settled == 7) is kept, change


def test_without_a_generation_every_new_version_is_looked_at() -> None:
    store, _ = watched()
    store.put(make("a", 1))
    entry = store.get("ns", "a")
    assert entry is not None
    entry.settled = 7
    store.put(make("a", 2, data="spoiled"))
    entry = store.get("ns", "a")
    assert entry is not None
    assert entry.settled is None
