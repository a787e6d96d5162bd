"""`kopf-sdk olm`: OLM itself, on a local cluster or on the current one."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from kopf_sdk.listing import Listing
from kopf_sdk.olm.install import install_olm
from kopf_sdk.olm.release import Images, released_images
from kopf_sdk.olm.status import OlmStatus, olm_status
from kopf_sdk.olm.target import target, target_options, timeout_option
from kopf_sdk.olm.uninstall import uninstall_olm
from kopf_sdk.testing.cluster.options import output_option
from kopf_sdk.testing.cluster.progress import ConsoleProgress

__all__ = ["olm"]

_console = Console(stderr=True, highlight=False, soft_wrap=True)


@click.group(cls=Listing)
def olm() -> None:
    """Install, look at and remove the Operator Lifecycle Manager."""


@olm.command()
@target_options
@click.option("--olm-image", metavar="IMAGE", help="OLM's image, when the nodes cannot pull the released one.")
@click.option("--opm-image", metavar="IMAGE", help="The image of opm that serves catalogs.")
@click.option("--operatorhub", is_flag=True, help="Add the catalog of OperatorHub.io (pulled from quay.io).")
@timeout_option(300.0)
@output_option
def install(
    *,
    name: str,
    which: str,
    yes: bool,
    olm_image: str | None,
    opm_image: str | None,
    operatorhub: bool,
    timeout: float,
    output: str,
) -> None:
    """Install OLM; does nothing where it is healthy, repairs it where it is not.

    A local cluster runs images made on this machine, any other one those that the projects release.
    """
    cluster = target(which, name, yes=yes)
    images = None
    if olm_image or opm_image:
        released = released_images()
        images = Images(olm_image or released.olm, opm_image or released.opm)
    found = install_olm(
        cluster, images=images, operatorhub=operatorhub, timeout=timeout, progress=ConsoleProgress(_console)
    )
    _print(found, output)


@olm.command()
@target_options
@output_option
@click.pass_context
def status(context: click.Context, *, name: str, which: str, yes: bool, output: str) -> None:
    """Show what of OLM is on a cluster and whether it works; exit code 1 unless all of it does."""
    found = olm_status(target(which, name, yes=True))
    _print(found, output)
    if not found.healthy:
        context.exit(1)


@olm.command()
@target_options
@click.option("--force", is_flag=True, help="Remove it although operators are installed by it, and those with it.")
@timeout_option(180.0)
@output_option
def uninstall(*, name: str, which: str, yes: bool, force: bool, timeout: float, output: str) -> None:
    """Remove OLM with its CRDs, and everything that it made for itself."""
    removed = uninstall_olm(
        target(which, name, yes=yes), force=force, timeout=timeout, progress=ConsoleProgress(_console)
    )
    if output == "json":
        click.echo(json.dumps({"removed": removed}, indent=2))
    elif not removed:
        click.echo("OLM is not on this cluster")


def _print(found: OlmStatus, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if found.state == "absent":
        console.print("OLM is not on this cluster")
        return
    colour = "green" if found.healthy else "red"
    by = "" if found.managed else ", not installed by kopf-sdk"
    console.print(f"OLM {found.version or '(version unknown)'} in {found.namespace}: [{colour}]{found.state}[/]{by}")
    table: Any = Table("KIND", "NAME", "STATE", box=None, pad_edge=False)
    for part in found.parts:
        table.add_row(part.kind, part.name, f"[{'green' if part.healthy else 'red'}]{part.state}[/]")
    console.print(table)
