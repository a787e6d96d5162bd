"""Spans of time, as Go writes and reads them."""

from __future__ import annotations

import datetime as dt

import pytest
from pydantic import TypeAdapter, ValidationError

from kopf_sdk.api import Duration

ADAPTER: TypeAdapter[dt.timedelta] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("10s", 10, "10s"),
        ("1h30m", 5400, "1h30m"),
        ("1.5h", 5400, "1h30m"),
        ("90m", 5400, "1h30m"),
        ("250ms", 0.25, "250000us"),
        ("0s", 0, "0s"),
        ("100000h", 360_000_000, "100000h"),
    ],
)
def test_read_and_write(text: str, seconds: float, written: str) -> None:
    span = ADAPTER.validate_python(text)
    assert span == dt.timedelta(seconds=seconds)
    assert ADAPTER.dump_python(span, mode="json") == written
    assert ADAPTER.validate_python(written) == span


@pytest.mark.parametrize("wrong", ["", "10", "-1s", "1 h", "1d", "1h ", "PT1H", "9999999999h", 10, None, True])
def test_no_duration(wrong: object) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(wrong)


def test_a_timedelta_is_taken_as_it_is() -> None:
    assert ADAPTER.validate_python(dt.timedelta(hours=1)) == dt.timedelta(hours=1)
