"""Amounts compare by what they are worth and stay as they were written."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from kopf_sdk.api import Quantity


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("0", "0"),
        ("1.", "1"),
        (".5", "0.5"),
        ("-2", "-2"),
        ("100m", "0.1"),
        ("1n", "0.000000001"),
        ("64Mi", "67108864"),
        ("1.5Gi", "1610612736"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("12E-1", "1.2"),
        ("3E", "3000000000000000000"),
    ],
)
def test_worth(text: str, worth: str) -> None:
    assert Quantity(text).value == Decimal(worth)
    assert str(Quantity(text)) == text


@pytest.mark.parametrize("text", ["", " 1", "1 Gi", "Gi", "1gi", "1KiB", "0x1", "1e", "1e100", "1\n", "NaN"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        Quantity(text)


def test_order_equality_and_hash_go_by_worth() -> None:
    assert Quantity("1Gi") == Quantity("1024Mi")
    assert hash(Quantity("1Gi")) == hash(Quantity("1024Mi"))
    assert sorted([Quantity("1"), Quantity("2k"), Quantity("500m")])[0] == Quantity("0.5")
    assert Quantity("1") != "1"


def test_whole_numbers_round_up_as_kubernetes_does() -> None:
    assert (int(Quantity("1.2")), int(Quantity("-1.2")), int(Quantity(7))) == (2, -1, 7)


def test_it_does_not_change_and_survives_copies() -> None:
    quantity = Quantity("5Gi")
    with pytest.raises(AttributeError):
        quantity.text = "6Gi"
    assert copy.deepcopy(quantity) is quantity
    assert str(pickle.loads(pickle.dumps(quantity))) == "5Gi"


def test_in_a_model() -> None:
    adapter = TypeAdapter(Quantity)
    assert adapter.validate_python(5) == adapter.validate_python("5") == Quantity("5")
    assert adapter.dump_python(Quantity("64Mi"), mode="json") == "64Mi"
    for wrong in (True, 1.5, None, "64MB"):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)
