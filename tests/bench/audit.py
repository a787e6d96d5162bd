"""What the API server was asked, and by whom, from its audit log."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

__all__ = ["Audit"]

WRITES = ("create", "update", "patch", "delete", "deletecollection")


class Audit:
    """The requests from when this object was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        """Followed where it goes: a full log is renamed."""
        self._offset = self._file.seek(0, os.SEEK_END)

    def requests(self, agent: str) -> Counter[str]:
        """Count a client's requests by `verb resource`; watches (which end with the clock), leases and events left out.

        `agent` is how its user agent begins.
        """
        counted: Counter[str] = Counter()
        for event in self._events():
            resource = event.get("objectRef", {}).get("resource", "")
            if event["verb"] == "watch" or resource in ("events", "leases"):
                continue
            if event["stage"] == "ResponseComplete" and event.get("userAgent", "").startswith(agent):
                sub = event.get("objectRef", {}).get("subresource")
                counted[f"{event['verb']} {resource}{'/' + sub if sub else ''}"] += 1
        return counted

    def _events(self) -> Iterator[dict[str, Any]]:
        self._file.seek(self._offset)
        yield from _parsed(self._file)
        if (ours := os.fstat(self._file.fileno())).st_ino == self._path.stat().st_ino:
            return
        later = [path for path in self._path.parent.glob("audit*.log") if path.stat().st_mtime > ours.st_mtime]
        for path in sorted(later, key=lambda path: path.stat().st_mtime):
            with path.open("rb") as file:
                yield from _parsed(file)


def _parsed(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for line in file:
        if line.endswith(b"\n"):
            yield json.loads(line)


def writes(requests: Counter[str]) -> int:
    """Return how many of the requests change something."""
    return sum(number for name, number in requests.items() if name.split()[0] in WRITES)
