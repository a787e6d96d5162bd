"""Amounts as Kubernetes writes them: `500m`, `64Mi`, `1e3` (apimachinery's resource.Quantity)."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import total_ordering
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["Quantity"]

# The grammar of apimachinery, with exponents kept to two digits: nobody may make an operator compute 1e999999999.
_PATTERN = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
_PARTS = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@total_ordering
class Quantity:
    """An amount that remembers how it was written and compares by what it is worth.

    Examples
    --------
    >>> Quantity("1Gi") == Quantity("1024Mi"), Quantity("500m") < Quantity(1), int(Quantity("1.5Ki"))
    (True, True, 1536)
    >>> str(Quantity("64Mi"))
    '64Mi'
    """

    __slots__ = ("text", "value")

    text: str
    value: Decimal
    """The amount in the base unit: bytes, cores, or a plain count."""

    def __init__(self, amount: str | int) -> None:
        """Read an amount; raises ValueError when it is none."""
        text = str(amount)
        match = _PARTS.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a quantity like 500m, 64Mi or 2")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "value", Decimal(match[1]) * _factor(match[2] or ""))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Quantity does not change")

    def __int__(self) -> int:
        """Return the amount in the base unit, rounded up as Kubernetes does."""
        return int(self.value.to_integral_value(ROUND_CEILING))

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Quantity) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self.value < other.value if isinstance(other, Quantity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Quantity({self.text!r})"

    def __copy__(self) -> Quantity:
        return self

    def __deepcopy__(self, memo: object) -> Quantity:
        return self

    def __reduce__(self) -> tuple[type[Quantity], tuple[str]]:
        return Quantity, (self.text,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"x-kubernetes-int-or-string": True, "pattern": _PATTERN}


def _read(value: Any) -> Quantity:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise PydanticCustomError("quantity", "Input should be a quantity like 500m, 64Mi or 2")
    return Quantity(value)


def _factor(unit: str) -> Decimal:
    if unit in _BINARY:
        return Decimal(1024) ** _BINARY[unit]
    if unit in _DECIMAL:
        return Decimal(10) ** _DECIMAL[unit]
    return Decimal(10) ** int(unit[1:])
