"""`kopf-sdk tools`: build, list and find the pinned programs."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table

from kopf_sdk.listing import Listing
from kopf_sdk.testing import packages
from kopf_sdk.testing.cache import cache_directory
from kopf_sdk.testing.tools.build import binary, ensure, find
from kopf_sdk.testing.tools.pins import load_pins
from kopf_sdk.testing.tools.resolve import resolve

__all__ = ["tools"]


@click.group(cls=Listing)
def tools() -> None:
    """Build and find the pinned programs (Kubernetes, etcd, Helm, OLM, ...)."""


@tools.command("build")
@click.argument("names", metavar="[NAME|GROUP]...", nargs=-1)
def _build(names: tuple[str, ...]) -> None:
    """Build what is missing of NAMES, by default everything.

    Programs come from the user's cache, from PATH in exactly the pinned version, or are built one after the other.
    Interrupted, the next call goes on where this one stopped. `kopf-sdk tools list` shows names and groups.
    """
    ensure(names)


@tools.command("list")
@click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
def _list(output: str) -> None:
    """Show every program, its version and where it is."""
    pins = load_pins()
    rows = []
    for tool in pins.tools.values():
        program = find(tool)
        where = "missing" if program is None else "cache" if program.is_relative_to(cache_directory()) else "PATH"
        groups = [group for group, members in pins.groups.items() if tool.name in members]
        rows.append(
            {
                "name": tool.name,
                "version": tool.version,
                "groups": groups,
                "found": where,
                "path": str(program) if program else None,
            }
        )
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("NAME", "VERSION", "FOUND", "GROUPS"):
        table.add_column(column)
    for row in rows:
        table.add_row(str(row["name"]), str(row["version"]), str(row["found"]), " ".join(row["groups"] or ()))
    Console(highlight=False, soft_wrap=True).print(table)


@tools.command("path")
@click.argument("name")
def _path(name: str) -> None:
    """Print the path of the program NAME; an error when it has not been built."""
    click.echo(binary(name))


@tools.command("resolve")
@click.argument("modules", metavar="[MODULE]...", nargs=-1)
def _resolve(modules: tuple[str, ...]) -> None:
    """Complete go.mod and go.sum of MODULES (folders of tools/, by default all) after a version was changed."""
    resolve(load_pins(), list(modules), Console(stderr=True, highlight=False, soft_wrap=True))


@tools.command("install-packages")
@click.argument("features", type=click.Choice(list(packages.FEATURES)), nargs=-1)
def _install_packages(features: tuple[str, ...]) -> None:
    """Install the host's packages that FEATURES need, by default all (apt-get, as root); silent when they are there."""
    packages.install(Console(stderr=True, highlight=False, soft_wrap=True), features or packages.FEATURES)
