"""Runs a command again whenever a Python file below a folder changed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

__all__ = ["run_reloading"]

_POLL = 0.5
_STOP_SECONDS = 10.0
_IGNORED = {".venv", ".git", "__pycache__", "dist", "node_modules"}


def run_reloading(command: Sequence[str], folder: Path) -> int:
    """Run a command until it is interrupted; a changed, new or removed file stops it and starts it again.

    A command that ends by itself is started again at the next change, so that a mistake needs no second terminal.
    Returns 130, as a shell does after Ctrl+C.
    """
    console = Console(stderr=True, soft_wrap=True)
    seen = _snapshot(folder)
    process = subprocess.Popen(command)
    try:
        while True:
            time.sleep(_POLL)
            now = _snapshot(folder)
            if now == seen:
                continue
            changed = sorted(str(path) for path in now.keys() ^ seen.keys() or {p for p in now if now[p] != seen[p]})
            console.print(f"[bold]reload:[/] {', '.join(changed[:3])} changed", highlight=False)
            seen = now
            _stop(process)
            process = subprocess.Popen(command)
    except KeyboardInterrupt:
        return 130
    finally:
        _stop(process)


def _snapshot(folder: Path) -> dict[Path, int]:
    found = {}
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _IGNORED]
        for name in files:
            if name.endswith(".py"):
                path = Path(directory, name)
                try:
                    found[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue  # saved by writing anew and renaming: seen next time
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
