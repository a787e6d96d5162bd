"""The API reference says of every field what it is for and what it may hold."""

from __future__ import annotations

import re
from collections import Counter

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


def test_links_lead_to_the_headings_of_their_own_version() -> None:
    """GitHub numbers headings of the same name, in the order of the page."""
    seen: Counter[str] = Counter()
    linked = 0
    for section in PAGE.split("\n## ")[1:]:
        own = set()
        for heading in re.findall(r"^#+ `(.*)`$", section, re.MULTILINE):
            anchor = re.sub(r"[^a-z0-9_-]", "", heading.lower())
            own.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
        links = set(re.findall(r"\(#([^)]+)\)", section))
        assert links <= own
        linked += len(links)
    assert linked
    assert max(seen.values()) == 2


def test_rules_are_listed_where_they_apply() -> None:
    limits = PAGE.split("#### `spec.limits`", 1)[1].split("####", 1)[0]
    assert "- low must not be above high" in limits
