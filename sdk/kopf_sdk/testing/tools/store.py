"""Where built programs lie: a cache per user, links to it in the checkout.

Layout of the cache: `<key>/<name>` are finished programs, never changed any more; `tmp-*` is unfinished work,
swept by the next one who holds the lock; `log/` has the output of the last build of each tool.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kopf_sdk.testing.cache import cache_directory
from kopf_sdk.testing.tools.pins import Tool, checkout, pins_directory

__all__ = ["bin_directory", "built", "keep", "link", "lock_file", "log_file", "workspace"]


def _store() -> Path:
    return cache_directory() / "tools"


def bin_directory() -> Path:
    """Where the links are: `.tools/bin` of the checkout for its own pins, else a folder of the cache."""
    root = checkout()
    return root / ".tools" / "bin" if root and pins_directory() == root / "tools" else _store() / "bin"


def built(tool: Tool) -> Path | None:
    """The program in the cache, None when it has not been built from these pins."""
    path = _store() / tool.key / tool.name
    return path if path.is_file() else None


def keep(tool: Tool, fresh: Path) -> Path:
    """Move a finished program into the cache, in one step."""
    target = _store() / tool.key / tool.name
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh.replace(target)
    return target


def link(tool: Tool, program: Path) -> Path:
    """Make `bin_directory()/name` point to the program, in one step; nothing is written when it does already."""
    directory = bin_directory()
    target = directory / tool.name
    if target.is_symlink() and target.readlink() == program:
        return target
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".{tool.name}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(program)
    fresh.replace(target)
    return target


def lock_file() -> Path:
    """Held by the process that builds; one per user, so that big builds never run side by side."""
    return _store() / "lock"


def log_file(tool: Tool) -> Path:
    """Where the output of the tool's build goes."""
    path = _store() / "log" / f"{tool.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder in the cache for unfinished files; only for the holder of the lock, who removes what others left."""
    for stale in _store().glob("tmp-*"):
        shutil.rmtree(stale, ignore_errors=True)
    path = _store() / f"tmp-{os.getpid()}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
