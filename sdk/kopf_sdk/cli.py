"""The command `kopf-sdk`: finds the subcommand, loads only its package, prints errors for people.

Every package of the SDK brings its own `cli` module. They are imported when their command is called, so that
`kopf-sdk bundle` works without Kopf installed and starts fast.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from kopf_sdk import __version__
from kopf_sdk.errors import SdkError
from kopf_sdk.lazy import LazyCommand

__all__ = ["main"]


_COMMANDS = {
    "bundle": LazyCommand("kopf_sdk.bundle.cli", "bundle", "Turn a Helm chart into an OLM bundle"),
    "catalog": LazyCommand("kopf_sdk.bundle.cli", "catalog", "Make and check file-based catalogs of bundles"),
    "cleanup": LazyCommand("kopf_sdk.olm.run_cli", "cleanup", "Remove an operator that OLM installed", extra="testing"),
    "cluster": LazyCommand(
        "kopf_sdk.testing.cluster.cli", "cluster", "A throw-away Kubernetes on this machine", extra="testing"
    ),
    "create": LazyCommand("kopf_sdk.scaffold.cli", "create", "Add a kind, or webhooks, to a project", extra="scaffold"),
    "edit": LazyCommand("kopf_sdk.scaffold.cli", "edit", "Change how a project is laid out", extra="scaffold"),
    "generate": LazyCommand(
        "kopf_sdk.generate.cli", "generate", "CRD, RBAC and API reference from Python types", extra="runtime"
    ),
    "images": LazyCommand(
        "kopf_sdk.testing.images.cli",
        "images",
        "Container images, also where no registry is reachable",
        extra="testing",
    ),
    "init": LazyCommand("kopf_sdk.scaffold.cli", "init", "Start a project in an empty folder", extra="scaffold"),
    "olm": LazyCommand("kopf_sdk.olm.cli", "olm", "The Operator Lifecycle Manager on a cluster", extra="testing"),
    "run": LazyCommand("kopf_sdk.run", "run", "Run a command again after every change of a file, or a bundle by OLM"),
    "tools": LazyCommand(
        "kopf_sdk.testing.tools.cli",
        "tools",
        "The pinned programs that tests and the cluster are made of",
        extra="testing",
    ),
    "update": LazyCommand(
        "kopf_sdk.scaffold.cli", "update", "Bring a project to this version's templates", extra="scaffold"
    ),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        return entry.load(f"kopf-sdk {cmd_name}") if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name].help) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kopf-sdk")
def _root() -> None:
    """Build, test and ship Kubernetes operators written in Python."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 bad input or a failed step, 2 wrong usage, 130 interrupted."""
    sys.exit(_run(argv))


def _run(argv: list[str] | None) -> int:
    try:
        result: Any = _root.main(args=argv, prog_name="kopf-sdk", standalone_mode=False)
    except SdkError as error:
        _print_error(error)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    return result if isinstance(result, int) else 0


def _print_error(error: SdkError) -> None:
    from rich.console import Console  # noqa: PLC0415  # takes longer to load than most commands need
    from rich.markup import escape  # noqa: PLC0415

    console = Console(stderr=True, soft_wrap=True)
    console.print(f"[bold red]error:[/] {escape(error.message)}", highlight=False)
    if error.hint:
        console.print(f"[bold]hint:[/] {escape(error.hint)}", highlight=False)
