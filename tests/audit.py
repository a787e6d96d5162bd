"""The API server's audit log, read while it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["events", "position"]


def position(log: Path) -> int:
    """Return where the log ends now."""
    return log.stat().st_size


def events(log: Path, since: int = 0, *, about: str = "") -> Iterator[dict[str, Any]]:
    """Return the events after a position, those only whose line has a word.

    What is being written at either end is left out: a long line may be seen half. Who could not be authenticated has no
    name.
    """
    word = about.encode()
    with log.open("rb") as lines:
        if since:
            lines.seek(since - 1)
            lines.readline()
        for line in lines:
            if line.endswith(b"\n") and word in line:
                event = json.loads(line)
                event["user"].setdefault("username", "")
                yield event
