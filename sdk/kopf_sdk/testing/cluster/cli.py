"""`kopf-sdk cluster`: the commands; what they do is in cluster.py and current.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from kopf_sdk.errors import SdkError
from kopf_sdk.listing import Listing
from kopf_sdk.testing.cluster.cluster import Cluster
from kopf_sdk.testing.cluster.current import CurrentCluster, Which, target_cluster
from kopf_sdk.testing.cluster.logs import follow, last_lines
from kopf_sdk.testing.cluster.options import name_option, output_option, which_option, yes_option
from kopf_sdk.testing.cluster.progress import ConsoleProgress
from kopf_sdk.testing.cluster.state import Size, names
from kopf_sdk.testing.cluster.status import Status

__all__ = ["cluster"]

_console = Console(stderr=True, highlight=False, soft_wrap=True)


@click.group(cls=Listing)
def cluster() -> None:
    """Start, use and remove Kubernetes clusters on this machine."""


@cluster.command()
@name_option
@click.option(
    "--size",
    type=click.Choice([s.value for s in Size]),
    default=Size.NODE.value,
    show_default=True,
    help="Only the control plane, or with a node that runs pods.",
)
@which_option
@yes_option
@output_option
def up(name: str, size: str, which: str, yes: bool, output: str) -> None:
    """Have a cluster running; prints the path of its kubeconfig.

    Does nothing when it is up, repairs it when a part of it died.
    """
    target = target_cluster(
        which, name=name, size=Size(size), assume_yes=yes, ask=_ask(), progress=ConsoleProgress(_console)
    )
    path = target.kubeconfig
    if output == "json":
        _print_json({"name": target.name, "context": target.context, "kubeconfig": str(path)})
    else:
        click.echo(path)
        if sys.stdout.isatty():
            _console.print(f"to use it: [bold]export KUBECONFIG={path}[/]")


@cluster.command()
@name_option
@which_option
@output_option
def down(name: str, which: str, output: str) -> None:
    """Remove a cluster with everything that it left on this machine."""
    if which == Which.CURRENT:
        current = CurrentCluster()
        current.forget()
        _console.print(f"the cluster of context '{current.context}' is yours: nothing to remove")
        removed = False
    else:
        removed = Cluster(name).down(ConsoleProgress(_console))
        if not removed:
            _console.print(f"there is no cluster '{name}'")
    if output == "json":
        _print_json({"name": name, "removed": removed})


@cluster.command()
@name_option
@which_option
@output_option
@click.pass_context
def status(context: click.Context, name: str, which: str, output: str) -> None:
    """Show what is true of a cluster; exit code 1 unless it is ready."""
    if which == Which.CURRENT:
        current = CurrentCluster()
        current.check()
        answer = {"name": current.name, "state": "ready", "server": current.server}
        if output == "json":
            _print_json(answer)
        else:
            click.echo(f"{current.name}: ready at {current.server}")
        return
    found = Cluster(name).status()
    if output == "json":
        _print_json(asdict(found))
    else:
        _print_status(found)
    if found.state != "ready":
        context.exit(1)


@cluster.command("list")
@output_option
def list_clusters(output: str) -> None:
    """Show every local cluster, also what is left of a dead one."""
    found = [Cluster(name).status() for name in names()]
    if output == "json":
        _print_json([asdict(s) for s in found])
        return
    table = Table("NAME", "STATE", "SIZE", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.name, _coloured(each.state), each.size or "")
    Console().print(table)


@cluster.command("load-image")
@click.argument("archives", metavar="TAR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@name_option
@which_option
@output_option
def load_image(archives: tuple[Path, ...], name: str, which: str, output: str) -> None:
    """Bring images into a cluster's node; prints their names and digests.

    Takes what 'docker save', 'podman save' or 'buildah push ... oci-archive:' wrote.
    """
    target: Cluster | CurrentCluster = CurrentCluster() if which == Which.CURRENT else Cluster(name)
    loaded = target.load_images(archives)
    if output == "json":
        _print_json(loaded)
        return
    for image, digest in loaded.items():
        click.echo(f"{image} {digest}")


@cluster.command()
@name_option
@which_option
@yes_option
@click.option("--raw", is_flag=True, help="Print the content instead of the path.")
def kubeconfig(name: str, which: str, yes: bool, raw: bool) -> None:
    """Print the path of a cluster's kubeconfig."""
    if which == Which.CURRENT:
        current = CurrentCluster()
        current.confirm(assume_yes=yes, ask=_ask())
        path = current.kubeconfig
    else:
        path = Cluster(name).kubeconfig
        if not path.exists():
            raise SdkError(f"there is no cluster '{name}'", hint=f"kopf-sdk cluster up --name {name}")
    click.echo(path.read_text() if raw else path)


@cluster.command()
@click.argument("port", type=click.IntRange(1, 65535))
@name_option
@output_option
def expose(port: int, name: str, output: str) -> None:
    """Let the cluster reach a PORT of this machine's loopback; prints the address to use inside.

    For the webhooks of an operator that runs on this machine: their certificate has to name the IP. It ends with the
    cluster.
    """
    address = Cluster(name).expose_host(port)
    if output == "json":
        _print_json({"port": port, "address": address})
    else:
        click.echo(address)


@cluster.command()
@click.argument("component", required=False)
@name_option
@which_option
@click.option("--follow", "-f", "following", is_flag=True, help="Go on with what is added, until interrupted.")
@click.option(
    "--lines", "-n", type=click.IntRange(min=0), default=20, show_default=True, help="How many to start with."
)
def logs(component: str | None, name: str, which: str, following: bool, lines: int) -> None:
    """Show the log of a component, or of all of them ('audit' is the audit log)."""
    if which == Which.CURRENT:
        raise SdkError("the logs of the control plane are not ours to read with CLUSTER=current")
    target = Cluster(name)
    files = _log_files(target, component)
    width = max(map(len, files))

    def show(source: str, line: str) -> None:
        click.echo(line if component else f"{source:<{width}} | {line}")

    for source, path in files.items():
        for line in last_lines(path, lines):
            show(source, line)
    if following:
        for source, line in follow(files, target.layout.directory.exists):
            show(source, line)


def _log_files(target: Cluster, component: str | None) -> dict[str, Path]:
    files = target.log_files()
    if not files:
        raise SdkError(f"there is no cluster '{target.name}'", hint=f"kopf-sdk cluster up --name {target.name}")
    if component is None:
        return {source: path for source, path in files.items() if source != "audit"}
    if component not in files:
        raise SdkError(f"the cluster '{target.name}' has no log of {component}", hint=f"it has: {', '.join(files)}")
    return {component: files[component]}


def _ask() -> Callable[[str], bool] | None:
    return click.confirm if sys.stdin.isatty() else None


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))


def _print_status(found: Status) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{found.name}: {_coloured(found.state)}" + (f" ({found.size})" if found.size else ""))
    if found.reason:
        console.print(f"the last start failed: {found.reason}", markup=False)
    if not found.components:
        return
    table = Table("COMPONENT", "STATE", "PID", "STARTS", box=None, pad_edge=False)
    for part in found.components:
        detail = f" (code {part.code})" if part.code is not None else ""
        table.add_row(part.name, _coloured(part.state) + detail, str(part.pid or ""), str(part.starts or ""))
    console.print(table)
    console.print(f"API server ready: {_word(found.api)}")
    if found.node is not None:
        console.print(f"node Ready: {_word(found.node)}")
    if found.kubeconfig:
        console.print(f"kubeconfig: {found.kubeconfig}", markup=False)


def _word(value: bool) -> str:
    return "[green]yes[/]" if value else "[red]no[/]"


def _coloured(state: str) -> str:
    colour = {
        "ready": "green",
        "running": "green",
        "absent": "dim",
        "starting": "yellow",
        "not started": "yellow",
        "stopped": "yellow",
    }
    return f"[{colour.get(state, 'red')}]{state}[/]"
