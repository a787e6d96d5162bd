"""Commands that are imported when they are called, not when they are listed."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click

from kopf_sdk.errors import SdkError

__all__ = ["LazyCommand"]


@dataclass(frozen=True)
class LazyCommand:
    """Where a command is.

    Attributes
    ----------
    module, attribute
        The Python object.
    help
        What it does, in a line.
    extra
        The extra of the distribution without which the module cannot be imported.
    """

    module: str
    attribute: str
    help: str
    extra: str = ""

    def load(self, typed: str) -> click.Command:
        """Return the command; `typed` is what the user calls it.

        Raises
        ------
        SdkError
            A package of the extra is not installed.
        """
        try:
            command = getattr(importlib.import_module(self.module), self.attribute)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("kopf_sdk") or not self.extra:
                raise
            raise SdkError(
                f"'{typed}' needs the Python package {error.name}, which is not installed",
                hint=f"pip install 'kopf-sdk[{self.extra}]'",
            ) from error
        assert isinstance(command, click.Command)
        return command
