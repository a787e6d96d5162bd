"""`kopf-sdk run bundle`, `kopf-sdk run bundle-upgrade`, `kopf-sdk cleanup`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from kopf_sdk.olm.cleanup import cleanup as clean
from kopf_sdk.olm.modes import InstallMode
from kopf_sdk.olm.run import Installed, run_bundle, upgrade_bundle
from kopf_sdk.olm.target import target, target_options, timeout_option
from kopf_sdk.testing.cluster.options import output_option
from kopf_sdk.testing.cluster.progress import ConsoleProgress

__all__ = ["bundle", "bundle_upgrade", "cleanup"]

F = TypeVar("F", bound=Callable[..., Any])

_console = Console(stderr=True, highlight=False, soft_wrap=True)


def _bundle_options(command: F) -> F:
    """The options that installing and upgrading share."""
    for option in reversed(
        (
            click.option(
                "--catalog-image", is_flag=True, help="Give a local node a catalog image, which OLM itself serves."
            ),
            click.option("--inline", is_flag=True, help="Carry the bundle in the catalog: OLM unpacks no image."),
            click.option("--opm-image", default="", metavar="IMAGE", help="What serves the catalog."),
            click.option("--skip-validation", is_flag=True, help="Let OLM see a bundle that it would refuse."),
            timeout_option(300.0),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("source", metavar="DIR|ARCHIVE|IMAGE")
@click.option("--install-mode", metavar="MODE[=NS,...]", help="AllNamespaces, OwnNamespace, SingleNamespace=a, ...")
@click.option("--namespace", "-n", default="", help="Where to install; by default what the bundle suggests.")
@click.option("--replace", is_flag=True, help="Remove what is there of the package first; its resources stay.")
@target_options
@_bundle_options
@output_option
def bundle(
    *, source: str, install_mode: str | None, namespace: str, name: str, which: str, yes: bool, output: str, **rest: Any
) -> None:
    """Have OLM install a bundle, out of a catalog made for it, and wait until it runs.

    Takes a bundle's directory, the archive of its image, or the image's name.
    """
    done = run_bundle(
        target(which, name, yes=yes),
        source,
        namespace=namespace,
        install_mode=InstallMode.parse(install_mode) if install_mode else None,
        progress=ConsoleProgress(_console),
        **rest,
    )
    _print(done, output)


@click.command("bundle-upgrade")
@click.argument("source", metavar="DIR|ARCHIVE|IMAGE")
@click.option("--namespace", "-n", default="", help="Where the operator is installed; found by its Subscription.")
@target_options
@_bundle_options
@output_option
def bundle_upgrade(*, source: str, namespace: str, name: str, which: str, yes: bool, output: str, **rest: Any) -> None:
    """Have OLM upgrade an operator to a bundle's version, and wait until that runs."""
    done = upgrade_bundle(
        target(which, name, yes=yes), source, namespace=namespace, progress=ConsoleProgress(_console), **rest
    )
    _print(done, output)


@click.command()
@click.argument("package")
@click.option("--namespace", "-n", default="", help="Where it is installed; found by its Subscription.")
@click.option("--delete-crds", is_flag=True, help="Also its CRDs, and with them every resource of their kinds.")
@timeout_option(120.0)
@target_options
@output_option
def cleanup(
    *,
    package: str,
    namespace: str,
    delete_crds: bool,
    timeout: float,
    name: str,
    which: str,
    yes: bool,
    output: str,
) -> None:
    """Remove an operator that OLM installed; its CRDs and resources stay unless asked for."""
    done = clean(
        target(which, name, yes=yes),
        package,
        namespace=namespace,
        delete_crds=delete_crds,
        timeout=timeout,
        progress=ConsoleProgress(_console),
    )
    if output == "json":
        click.echo(json.dumps(done.as_dict(), indent=2))
        return
    for item in done.removed:
        click.echo(f"removed {item}")
    if done.shared:
        click.echo(f"left, another bundle has them as well: {', '.join(done.shared)}")
    if done.left:
        click.echo(f"left with their resources (--delete-crds removes them): {', '.join(done.left)}")


def _print(done: Installed, output: str) -> None:
    if output == "json":
        click.echo(json.dumps(done.as_dict(), indent=2))
        return
    what = f"{done.csv} in namespace {done.namespace}, {done.install_mode}"
    click.echo(f"{done.replaced} was upgraded to {what}" if done.replaced else f"OLM runs {what}")
