"""Which namespaces are watched."""

from __future__ import annotations

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.scope import Scope


@pytest.mark.parametrize(
    ("text", "namespaces"),
    [
        ("", ()),
        ("  ", ()),
        ("one", ("one",)),
        ("two, one,two", ("one", "two")),
        ("own", ("mine",)),
        ("own,one", ("mine", "one")),
    ],
)
def test_the_setting_names_namespaces(text: str, namespaces: tuple[str, ...]) -> None:
    scope = Scope.parse(text, own="mine")
    assert scope.namespaces == namespaces
    assert scope.everything is (not namespaces)
    assert scope.parts == (namespaces or (None,))


@pytest.mark.parametrize("text", ["One", "a_b", "a b", "*", ",", "-a", "a" * 64])
def test_what_cannot_be_a_namespace_is_refused(text: str) -> None:
    with pytest.raises(SdkError, match="watch-namespaces"):
        Scope.parse(text, own="mine")


def test_membership() -> None:
    assert "x" in Scope()
    assert "x" in Scope(("x",))
    assert "y" not in Scope(("x",))
