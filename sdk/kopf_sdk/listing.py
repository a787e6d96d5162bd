"""Groups of commands whose help lists each with its whole first sentence; click cuts it off after a few words."""

from __future__ import annotations

import sys

import click

__all__ = ["Listing"]


class Listing(click.Group):
    """A group of commands, for `click.group(cls=Listing)`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(sys.maxsize)) for name, command in commands if command is not None]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
