"""Show the ends of log files, and what is added to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

__all__ = ["follow", "last_lines"]

_BLOCK = 1 << 16


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a file, read from its end."""
    with path.open("rb") as file:
        position = file.seek(0, 2)
        tail = b""
        while position and tail.count(b"\n") <= count:
            step = min(_BLOCK, position)
            position = file.seek(position - step)
            tail = file.read(step) + tail
    return tail.decode(errors="replace").splitlines()[-count:] if count else []


def follow(
    files: Mapping[str, Path], going_on: Callable[[], bool], *, interval: float = 0.3
) -> Iterator[tuple[str, str]]:
    """Name and text of every line that is added to the files from now on (interval in seconds)."""
    opened = {name: path.open(errors="replace") for name, path in files.items()}
    parts = dict.fromkeys(opened, "")
    try:
        for file in opened.values():
            file.seek(0, 2)
        while going_on():
            for name, file in opened.items():
                *lines, parts[name] = (parts[name] + file.read()).split("\n")
                for line in lines:
                    yield name, line
            time.sleep(interval)
    finally:
        for file in opened.values():
            file.close()
