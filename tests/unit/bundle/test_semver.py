"""Versions and ranges as OLM and Helm write them."""

from __future__ import annotations

import pytest

from kopf_sdk.bundle.semver import Version, in_range, minimum_of_constraint, parse_range


def test_order_is_that_of_the_specification() -> None:
    texts = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]

    assert [str(version) for version in sorted(map(Version.parse, reversed(texts)))] == texts


@pytest.mark.parametrize("text", ["1.2", "v1.2.3", "1.02.3", "1.2.3-", "one", ""])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="no semantic version"):
        Version.parse(text)


@pytest.mark.parametrize(("text", "version"), [("v1.2", "1.2.0"), ("1", "1.0.0"), ("1.02.3-rc.1", "1.2.3-rc.1")])
def test_tolerant(text: str, version: str) -> None:
    assert str(Version.tolerant(text)) == version


@pytest.mark.parametrize(
    ("text", "version", "inside"),
    [
        (">=1.0.0 <2.0.0", "1.9.9", True),
        (">=1.0.0 <2.0.0", "2.0.0", False),
        ("<1.0.0 || >=3.0.0", "3.1.0", True),
        ("1.2.x", "1.2.9", True),
        ("1.2.x", "1.3.0", False),
        ("!1.3.0", "1.3.0", False),
        (">= 1.0.0", "1.0.0", True),
    ],
)
def test_ranges(text: str, version: str, inside: bool) -> None:
    assert in_range(Version.parse(version), text) is inside


def test_a_malformed_range() -> None:
    with pytest.raises(ValueError, match="condition"):
        parse_range(">=1.0.0 <abc")


@pytest.mark.parametrize(
    ("constraint", "minimum"),
    [
        (">= 1.22.0-0", "1.22.0"),
        (">=1.19", "1.19.0"),
        ("^1.25.0-0", "1.25.0"),
        ("~1.28", "1.28.0"),
        (">1.20.0", "1.20.1"),
        ("1.25 - 1.31", "1.25.0"),
        (">=1.20.0 <1.30.0", "1.20.0"),
        ("1.21.x || 1.20.x", "1.20.0"),
        ("<1.30.0", ""),
        ("", ""),
    ],
)
def test_the_lowest_kubernetes_of_a_chart(constraint: str, minimum: str) -> None:
    assert minimum_of_constraint(constraint) == minimum
