"""YAML means to us what it means to Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        ("0644", 420),
        ("0o17", 15),
        ("0x1F", 31),
        ("yes", True),
        ("y", "y"),
        ("~", None),
        ("!!str 12", "12"),
        ("'12'", "12"),
    ],
)
def test_plain_scalars(text: str, value: Any) -> None:
    assert yaml.load(f"a: {text}") == {"a": value}


def test_anchors_and_merge_keys() -> None:
    text = "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\ne: *x\nf: '<<'\n"

    assert yaml.load(text) == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}, "e": {"b": 1, "c": 2}, "f": "<<"}


def test_a_merge_key_may_bear_its_tag() -> None:
    assert yaml.load("a: &x {b: 1}\nd:\n  !!merge <<: *x\n  c: 3\n")["d"] == {"b": 1, "c": 3}


def test_several_documents() -> None:
    assert list(yaml.load_all("a: 1\n---\n---\n- b\n")) == [{"a": 1}, None, ["b"]]


def test_an_error_names_source_and_line() -> None:
    with pytest.raises(SdkError, match=r"chart\.yaml, line 2"):
        yaml.load("a: 1\nb: ]", source="chart.yaml")


@pytest.mark.parametrize(
    "text", ["y", "on", "12:30", "1e3", "0644", "2024-01-01", "null", "<<", "a: b", "- x", " x", "x\ny\n"]
)
def test_strings_that_look_like_something_else_stay_strings(text: str) -> None:
    assert yaml.load(yaml.dump({"a": text})) == {"a": text}


_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdef", min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert yaml.load(yaml.dump(value)) == value
