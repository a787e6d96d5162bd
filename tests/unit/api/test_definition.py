"""Names that follow from others."""

from __future__ import annotations

import pytest

from kopf_sdk.api import Definition


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Memcached", "memcacheds"),
        ("NetworkPolicy", "networkpolicies"),
        ("Gateway", "gateways"),
        ("StorageClass", "storageclasses"),
        ("Box", "boxes"),
        ("Patch", "patches"),
    ],
)
def test_plural(kind: str, plural: str) -> None:
    definition = Definition(group="example.com", version="v1", kind=kind)
    assert (definition.plural, definition.singular) == (plural, kind.lower())
    assert definition.name == f"{plural}.example.com"
    assert definition.list_kind == f"{kind}List"


def test_what_is_given_wins() -> None:
    definition = Definition(group="example.com", version="v1", kind="Fish", plural="fish", list_kind="Shoal")
    assert (definition.name, definition.list_kind, definition.api_version) == (
        "fish.example.com",
        "Shoal",
        "example.com/v1",
    )
