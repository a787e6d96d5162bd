"""Errors that a user can act on; the command line prints them without a traceback."""

from __future__ import annotations

__all__ = ["SdkError"]


class SdkError(Exception):
    """Something the user gave, or the machine lacks, makes the work impossible.

    Parameters
    ----------
    message
        What is wrong, with the file and the field path where there is one.
    hint
        What to do about it. Printed on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
