"""Ask until it is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["eventually", "promptly"]

T = TypeVar("T")


def eventually(question: Callable[[], T], *, within: float = 120.0, poll: float = 0.1) -> T:
    """Ask until the answer is true and return it; fail with the last answer after `within` seconds.

    The time is for a machine on which everything takes several times as long; it is no promise of the operator.
    """
    end = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < end, f"still {answer!r} after {within:g} s"
        time.sleep(poll)
    return answer


def promptly(action: Callable[[], object], seconds: float, *, tries: int = 5) -> None:
    """Do something that ends when its effect is seen, until that took less than this time once.

    The promise is the operator's, not that of a machine that has other things to do just then.
    """
    took: list[float] = []
    for _ in range(tries):
        started = time.monotonic()
        action()
        took.append(time.monotonic() - started)
        if took[-1] < seconds:
            return
    raise AssertionError(f"never within {seconds:g} s, but after {', '.join(f'{one:.1f}' for one in took)} s")
