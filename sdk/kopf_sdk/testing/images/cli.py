"""`kopf-sdk images`: build the operator's image, make base images, see what weighs what."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kopf_sdk.errors import SdkError
from kopf_sdk.listing import Listing
from kopf_sdk.testing.images import container
from kopf_sdk.testing.images.base import base_image, reference
from kopf_sdk.testing.images.definition import load_definitions
from kopf_sdk.testing.images.weigh import weigh

__all__ = ["images"]

_TOOL = click.option("--container-tool", type=click.Choice(container.TOOLS), help="The first that works when left out.")
_QUIET = click.option("--quiet", is_flag=True, help="Show the container tool's output only when it fails.")
_OUTPUT = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)


@click.group(cls=Listing)
def images() -> None:
    """Build container images, also where no registry is reachable."""


@images.command("base")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--refresh", is_flag=True, help="Make them again, with today's packages.")
@_OUTPUT
def _base(names: tuple[str, ...], refresh: bool, output: str) -> None:
    """Make base images from Debian packages and pinned tools, and print where their archives are.

    Without NAMES all of them. The second call takes them from the cache.
    """
    rows = [
        {"name": name, "path": str(base_image(name, refresh=refresh)), "reference": reference(name)}
        for name in names or load_definitions()
    ]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['reference']}\t{row['path']}")


@images.command("build")
@click.option("--tag", required=True, metavar="IMAGE", help="Name of the image, as my/memcached-operator:v0.0.1.")
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    default="operator/Containerfile",
    show_default=True,
    help="How the image is made.",
)
@click.option(
    "--context",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Folder whose files it is made of.",
)
@_TOOL
@click.option("--build-arg", "build_args", multiple=True, metavar="NAME=VALUE", help="BASE_IMAGE, PIP_INDEX_URL, ...")
@click.option("--local-base", is_flag=True, help="Stand on images made from packages: no registry is needed.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Save the image to this tar as well.")
@_QUIET
def _build(
    *,
    tag: str,
    file: Path,
    context: Path,
    container_tool: str | None,
    build_args: tuple[str, ...],
    local_base: bool,
    output: Path | None,
    quiet: bool,
) -> None:
    """Build an image with docker, podman or buildah, and print its full name."""
    if not file.is_file():
        raise SdkError(f"{file} does not exist", hint="run this in the root of the repository, or give --file")
    arguments = dict(_named(argument) for argument in build_args)
    settings = container.Settings(tag, file, context, arguments, local_base)
    click.echo(container.build(container.choose_tool(container_tool), settings, output=output, quiet=quiet))


@images.command("push")
@click.argument("image")
@_TOOL
@click.option("--plain-http", is_flag=True, help="The registry has no TLS.")
@_QUIET
def _push(image: str, container_tool: str | None, plain_http: bool, quiet: bool) -> None:
    """Push IMAGE to its registry with docker, podman or buildah, and print its full name."""
    click.echo(container.push(container.choose_tool(container_tool), image, plain_http=plain_http, quiet=quiet))


def _named(argument: str) -> tuple[str, str]:
    name, equals, value = argument.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{argument!r} is not NAME=VALUE", param_hint="--build-arg")
    return name, value


@images.command("weigh")
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--depth", type=click.IntRange(1, 10), default=3, show_default=True, help="Folders shown below the root.")
@click.option("--top", type=click.IntRange(1), default=25, show_default=True, help="Rows shown.")
@click.option(
    "--max-mb", type=click.FloatRange(0), help="Exit with 1 when the image is heavier (MB = 1,000,000 bytes)."
)
@_OUTPUT
def _weigh(archive: Path, depth: int, top: int, max_mb: float | None, output: str) -> None:
    """List what weighs what in the image saved in ARCHIVE, uncompressed."""
    total, rows = weigh(archive, depth=depth)
    if output == "json":
        click.echo(
            json.dumps({"total": total, "paths": [{"path": path, "bytes": size} for path, size in rows]}, indent=2)
        )
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("MB", justify="right")
        table.add_column("PATH")
        for path, size in rows[:top]:
            table.add_row(f"{size / 1e6:.1f}", path)
        if rest := sum(size for _, size in rows[top:]):
            table.add_row(f"{rest / 1e6:.1f}", f"({len(rows) - top} more)")
        table.add_row(f"{total / 1e6:.1f}", "total", style="bold")
        Console(highlight=False, soft_wrap=True).print(table)
    if max_mb is not None and total > max_mb * 1e6:
        raise SdkError(f"{archive}: {total / 1e6:.1f} MB, at most {max_mb:g} MB are allowed")
