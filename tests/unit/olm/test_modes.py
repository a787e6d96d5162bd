"""Which install mode, and which OperatorGroup, before OLM is asked."""

from __future__ import annotations

from typing import Any

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.olm.modes import InstallMode, choose_mode, group_mode, supported_modes, the_group

EVERY = ["AllNamespaces", "OwnNamespace", "SingleNamespace", "MultiNamespace"]


def group(*targets: str, name: str = "group", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "own"}, "spec": {"targetNamespaces": list(targets)}, **more}


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("AllNamespaces", []),
        ("OwnNamespace", ["own"]),
        ("SingleNamespace=a", ["a"]),
        ("MultiNamespace=a, b,a", ["a", "b"]),
    ],
)
def test_modes_are_written_as_operator_sdk_writes_them(text: str, targets: list[str]) -> None:
    assert InstallMode.parse(text).targets("own") == targets


@pytest.mark.parametrize(
    "text", ["", "all", "SingleNamespace", "SingleNamespace=a,b", "MultiNamespace=", "OwnNamespace=own"]
)
def test_what_is_no_mode_is_refused_with_the_notation(text: str) -> None:
    with pytest.raises(SdkError) as caught:
        InstallMode.parse(text)
    assert caught.value.hint is not None
    assert "SingleNamespace=NAMESPACE" in caught.value.hint


def test_supported_modes_come_widest_first() -> None:
    modes = [{"type": kind, "supported": kind != "AllNamespaces"} for kind in reversed(EVERY)]
    assert supported_modes({"installModes": modes}) == EVERY[1:]


def test_without_a_wish_the_widest_mode_that_needs_no_choice() -> None:
    assert choose_mode("op", EVERY, None, "own").kind == "AllNamespaces"
    assert choose_mode("op", EVERY[1:], None, "own").kind == "OwnNamespace"
    with pytest.raises(SdkError, match="needs namespaces to watch"):
        choose_mode("op", ["SingleNamespace"], None, "own")


@pytest.mark.parametrize(
    ("supported", "wish", "said"),
    [
        (["AllNamespaces"], "OwnNamespace", "does not support install mode OwnNamespace"),
        (EVERY, "SingleNamespace=own", "the namespace of the operator itself"),
        (["MultiNamespace"], "MultiNamespace=own,a", "does not support OwnNamespace"),
    ],
)
def test_a_mode_that_olm_would_fail_is_refused(supported: list[str], wish: str, said: str) -> None:
    with pytest.raises(SdkError, match=said):
        choose_mode("op", supported, InstallMode.parse(wish), "own")


def test_the_operator_group_that_is_there_decides() -> None:
    def kind(*targets: str) -> str:
        return str(group_mode("op", EVERY, None, group(*targets)))

    assert [kind(), kind("own"), kind("a"), kind("b", "a")] == [
        "AllNamespaces",
        "OwnNamespace",
        "SingleNamespace=a",
        "MultiNamespace=a,b",
    ]
    assert group_mode("op", EVERY, InstallMode.parse("MultiNamespace=a,b"), group("b", "a")).kind == "MultiNamespace"
    selecting = {"metadata": group()["metadata"], "spec": {"selector": {}}, "status": {"namespaces": ["a"]}}
    selecting["spec"] = {"selector": {"matchLabels": {"x": "y"}}}
    assert str(group_mode("op", EVERY, None, selecting)) == "SingleNamespace=a"


def test_an_operator_group_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SdkError, match="selects a, not what install mode OwnNamespace needs"):
        group_mode("op", EVERY, InstallMode.parse("OwnNamespace"), group("a"))
    with pytest.raises(SdkError, match="does not support install mode SingleNamespace=a, which OperatorGroup group"):
        group_mode("op", ["AllNamespaces"], None, group("a"))


def test_there_is_one_operator_group_or_none() -> None:
    assert the_group([], "own") is None
    assert the_group([group()], "own") == group()
    with pytest.raises(SdkError, match=r"own has 2 OperatorGroups \(a, b\): OLM installs nothing there"):
        the_group([group(name="b"), group(name="a")], "own")
