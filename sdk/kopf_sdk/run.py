"""`kopf-sdk run`: a command of one's own, or a bundle on a cluster with OLM."""

from __future__ import annotations

import click

from kopf_sdk.lazy import LazyCommand

__all__ = ["run"]

_OWN = ""
_COMMANDS = {
    "bundle": LazyCommand("kopf_sdk.olm.run_cli", "bundle", "Have OLM install a bundle", extra="testing"),
    "bundle-upgrade": LazyCommand(
        "kopf_sdk.olm.run_cli", "bundle_upgrade", "Have OLM upgrade to a bundle", extra="testing"
    ),
    _OWN: LazyCommand("kopf_sdk.scaffold.cli", "run", "", extra="scaffold"),
}


class _Run(click.Group):
    """Everything that is not `bundle` or `bundle-upgrade` is a command of one's own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if name != _OWN]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.list_commands(ctx) and args[0] not in ctx.help_option_names:
            args = [_OWN, *args]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        return entry.load(f"kopf-sdk run {cmd_name}".rstrip()) if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _COMMANDS[name].help) for name in self.list_commands(ctx)]
        rows.append(("[--reload] -- CMD", "Run a command like `python main.py`, again after every change of a file"))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Run, context_settings={"ignore_unknown_options": True})
def run() -> None:
    """Run a bundle on a cluster with OLM, or a command of your own.

    What follows `--` is always a command of your own.
    """
