"""The API reference says of every field what it is for and what it may hold."""

from __future__ import annotations

import re

import pytest

from kopf_sdk.generate import crd_manifests
from kopf_sdk.generate.reference import reference
from unit.generate.rows import Everything, EverythingBeta

PAGE = reference(crd_manifests([EverythingBeta, Everything]), "somewhere")


@pytest.mark.parametrize(
    "row",
    [
        "| `text` | string | **Required.** A docstring is the description. Of several lines, {{ and }} included. |",
        "| `exclusiveMinimum` | number | Default: `3.0`. More than 0.5. |",
        "| `length` | string | Default: `abc`. 2 to 8 characters. |",
        "| `mode` | string | How it works. Default: `Safe`. One of `Fast`, `Safe`. |",
        "| `int32` | integer (int32) | Default: `1`. |",
        "| `port` | integer or string | Default: `http`. |",
        "| `template` | any Kubernetes object |  |",
        "| `anything` | anything |  |",
        "| `selector` | map of string |  |",
        "| `old` | string | Deprecated: use text |",
    ],
)
def test_rows(row: str) -> None:
    assert row in PAGE.splitlines()


def test_every_link_has_its_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9_-]", "", heading.lower()) for heading in re.findall(r"^#+ `(.*)`$", PAGE, re.MULTILINE)
    }
    links = set(re.findall(r"\(#([^)]+)\)", PAGE))
    assert links
    assert links <= headings


def test_rules_are_listed_where_they_apply() -> None:
    limits = PAGE.split("#### `spec.limits`", 1)[1].split("####", 1)[0]
    assert "- low must not be above high" in limits
