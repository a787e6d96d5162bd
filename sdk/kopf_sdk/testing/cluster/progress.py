"""How long work tells what it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console

__all__ = ["SILENT", "ConsoleProgress", "Progress"]


class Progress(Protocol):
    """Told about every step."""

    def step(self, title: str) -> AbstractContextManager[object]:
        """Entered when the step starts, left when it ends."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line that takes no time."""
        ...


class _Silent:
    def step(self, title: str) -> AbstractContextManager[object]:
        return nullcontext()

    def note(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()


class ConsoleProgress:
    """One line per step with its time; a spinner on a terminal while it runs."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        started = time.monotonic()
        with self._console.status(title):
            try:
                yield
            except BaseException:
                self._line("[red]✗[/]", title, time.monotonic() - started)
                raise
        self._line("[green]✓[/]", title, time.monotonic() - started)

    def note(self, text: str) -> None:
        self._console.print(f"  {text}")

    def _line(self, mark: str, title: str, seconds: float) -> None:
        self._console.print(f"{mark} {title:<44}[dim]{seconds:6.1f} s[/]", highlight=False)
