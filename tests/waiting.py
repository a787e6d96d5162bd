"""Ask until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["eventually"]

T = TypeVar("T")


def eventually(question: Callable[[], T], *, within: float = 60.0, poll: float = 0.1) -> T:
    """Ask until the answer is true and return it; fail with the last answer after `within` seconds."""
    end = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < end, f"still {answer!r} after {within:g} s"
        time.sleep(poll)
    return answer
