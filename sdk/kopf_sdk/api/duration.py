"""Spans of time as Kubernetes writes them: `1h30m`, `10s` (Go's time.ParseDuration)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = ["Duration"]

# Go's grammar without signs, and so many digits that every amount fits into a timedelta.
_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h)){1,8}$"
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_MICROSECONDS = {"ns": 0.001, "us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}


def _read(value: Any) -> dt.timedelta:
    if isinstance(value, dt.timedelta):
        return value
    if not isinstance(value, str) or not re.fullmatch(_PATTERN, value, re.ASCII):
        raise PydanticCustomError("duration", "Input should be a duration like 10s or 1h30m")
    return dt.timedelta(microseconds=sum(float(n) * _MICROSECONDS[unit] for n, unit in _PART.findall(value)))


def _write(span: dt.timedelta) -> str:
    """Write a span with the largest units first, as people do: 90 minutes are `1h30m`."""
    seconds, microseconds = divmod(span // dt.timedelta(microseconds=1), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"), (microseconds, "us"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


class _GoDuration:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(_write, when_used="json")
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": _PATTERN}


Duration = Annotated[dt.timedelta, _GoDuration()]
"""A `datetime.timedelta` in Python, text like `1h30m` in the manifest."""
