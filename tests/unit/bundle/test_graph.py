"""Upgrade graphs and unsafe CRD changes."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.bundle.catalog.crd_safety import unsafe_changes
from kopf_sdk.bundle.catalog.draw import graph_mermaid, graph_svg, graph_text
from kopf_sdk.bundle.catalog.graph import Edge, channel_problems, edges, heads
from kopf_sdk.bundle.catalog.model import Catalog
from kopf_sdk.bundle.semver import Version

LINE = [{"name": "a"}, {"name": "b", "replaces": "a"}, {"name": "c", "replaces": "b"}]


def test_a_line_is_sound() -> None:
    assert heads(LINE) == ["c"]
    assert list(channel_problems(LINE)) == []


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "at least one bundle"),
        ([{"name": "a"}, {"name": "b"}], "multiple channel heads found in graph: a, b"),
        ([{"name": "a", "replaces": "b"}, {"name": "b", "replaces": "a"}], "no channel head"),
        (
            [{"name": "a", "replaces": "b"}, {"name": "b", "replaces": "a"}, {"name": "c", "replaces": "b"}],
            "detected cycle",
        ),
        (
            [{"name": "a"}, {"name": "b", "replaces": "a"}, {"name": "c", "replaces": "x", "skips": ["b"]}],
            "stranded bundles: a",
        ),
    ],
)
def test_unsound_channels(entries: list[dict[str, Any]], problem: str) -> None:
    assert any(problem in line for line in channel_problems(entries))


def test_skip_ranges_are_edges_too() -> None:
    versions = {"a": Version(1, 0, 0), "b": Version(1, 1, 0), "c": Version(2, 0, 0)}
    entries = [
        {"name": "a"},
        {"name": "b", "replaces": "a"},
        {"name": "c", "replaces": "b", "skipRange": ">=1.0.0 <2.0.0"},
    ]

    assert edges(entries, versions) == [
        Edge("a", "b", "replaces"),
        Edge("b", "c", "replaces"),
        Edge("a", "c", "skipRange"),
    ]


def test_drawings_name_every_version_and_edge() -> None:
    catalog = Catalog()
    catalog.add({"schema": "olm.package", "name": "p", "defaultChannel": "stable"})
    catalog.add({"schema": "olm.channel", "package": "p", "name": "stable", "entries": LINE})

    assert graph_text(catalog).splitlines() == [
        "p / stable (default)",
        "  c [head]: replaces b",
        "  b: replaces a",
        "  a",
    ]
    assert graph_mermaid(catalog).count("-->|replaces|") == 2
    assert graph_svg(catalog).count("<rect") == 3
    assert graph_svg(catalog).count("marker-end") == 2


def crd(schema: dict[str, Any], **version: Any) -> dict[str, Any]:
    versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}]
    return {
        "metadata": {"name": "as.x.io"},
        "spec": {"group": "x.io", "scope": "Namespaced", "names": {"kind": "A", "plural": "as"}, "versions": versions},
    }


OLD = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 9, "enum": ["x", "y"]}, "b": {"type": "integer"}},
}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"properties": {"a": OLD["properties"]["a"]}}, "the field is removed"),  # type: ignore[index]
        ({"required": ["b"]}, "became required"),
        (
            {"properties": {"a": {"type": "string", "maxLength": 5, "enum": ["x", "y"]}, "b": {"type": "integer"}}},
            "stricter",
        ),
        (
            {"properties": {"a": {"type": "string", "maxLength": 9, "enum": ["x"]}, "b": {"type": "integer"}}},
            "no longer allowed",
        ),
        ({"properties": {"a": OLD["properties"]["a"], "b": {"type": "string"}}}, "type changed"),  # type: ignore[index]
    ],
)
def test_narrowed_schemas(change: dict[str, Any], problem: str) -> None:
    assert any(problem in message for _, message in unsafe_changes(crd(OLD), crd({**OLD, **change})))


def test_versions_must_stay() -> None:
    assert unsafe_changes(crd(OLD), crd(OLD, name="v2")) == [
        ("version v1", "is removed; stored resources may be of it")
    ]
    assert unsafe_changes(crd(OLD), crd(OLD, served=False)) == [("version v1", "is no longer served")]


def test_a_new_field_is_safe() -> None:
    wider = {**OLD, "properties": {**OLD["properties"], "c": {"type": "string"}}}  # type: ignore[dict-item]

    assert unsafe_changes(crd(OLD), crd(wider)) == []
