"""Every value comes back from Go's YAML (1.1, like PyYAML's loader, but stricter) as it went in."""

from __future__ import annotations

import pytest
import yaml

from kopf_sdk.generate.yaml import to_yaml, to_yaml_documents


@pytest.mark.parametrize(
    "text",
    ["y", "n", "Y", "N", "yes", "no", "on", "off", "1e3", "+1E5", "0o17", "0x1f", "1_000", "12:30", "~", "null", ""],
)
def test_text_that_yaml_would_misread_is_quoted(text: str) -> None:
    line = to_yaml({"a": text}).removeprefix("a: ").rstrip("\n")
    assert line.startswith(("'", '"'))
    assert yaml.safe_load(line) == text


def test_keys_are_quoted_too() -> None:
    assert to_yaml({"n": 1}) == "'n': 1\n"


def test_lines_become_a_block_and_nothing_an_anchor() -> None:
    shared = {"text": "one\ntwo"}
    assert to_yaml([shared, shared]) == "- text: |-\n    one\n    two\n" * 2


def test_documents() -> None:
    assert to_yaml_documents([{"a": 1}, {"b": 2}]) == "a: 1\n---\nb: 2\n"
