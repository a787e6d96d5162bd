"""Fields compared."""

from __future__ import annotations

from kopf_sdk.bundle.compare import differences


def found(before: object, after: object) -> list[str]:
    return [difference.path for difference in differences(before, after)]


def test_nulls_and_empty_values_are_nothing() -> None:
    assert found({"a": None, "b": {}, "c": 1}, {"c": 1, "d": []}) == []


def test_a_null_is_as_good_as_no_field() -> None:
    assert found({"a": {"b": None}}, {}) == []
    assert list(differences({"a": None}, {"a": {"b": 1}})) == list(differences({}, {"a": {"b": 1}}))


def test_named_items_are_matched_by_name() -> None:
    before = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    after = {"env": [{"name": "B", "value": "2"}, {"name": "A", "value": "3"}]}

    assert found(before, after) == ["env[A].value"]


def test_mounts_are_matched_by_path() -> None:
    before = [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]

    assert found(before, before[:1]) == ["[/b]"]


def test_other_lists_by_position_and_types_count() -> None:
    assert found(["a", "b"], ["a", "c", "d"]) == ["[1]", "[2]"]
    assert found({"a": 1}, {"a": True}) == ["a"]
