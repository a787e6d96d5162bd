"""`kopf-sdk generate`: what a project derives from its Python types."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from kopf_sdk.errors import SdkError
from kopf_sdk.generate.config import load_project
from kopf_sdk.generate.crd import SIZE_LIMIT, crd_manifests
from kopf_sdk.generate.output import Change, compare, write
from kopf_sdk.generate.plan import crd_size, plan
from kopf_sdk.generate.yaml import to_yaml_documents
from kopf_sdk.listing import Listing

__all__ = ["generate"]

_DONE = {"create": "created", "update": "updated", "delete": "deleted", "unchanged": "unchanged"}


@click.group(cls=Listing, invoke_without_command=True)
@click.option("--check", is_flag=True, help="Change nothing; fail with a diff when a file is not what it would be.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="How the report is written.")
@click.option(
    "--project",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Folder with the pyproject.toml; the current one by default.",
)
@click.pass_context
def generate(ctx: click.Context, check: bool, output: str, project: Path) -> None:
    """CRDs, permissions and the API reference, from the Python types.

    What is made of which types is said in pyproject.toml, table [tool.kopf-sdk].
    """
    ctx.obj = project.resolve()
    if ctx.invoked_subcommand is not None:
        return
    loaded = load_project(ctx.obj)
    planned = plan(loaded)
    changes = compare(planned.files, loaded.root)
    drifted = [change for change in changes if change.kind != "unchanged"]
    if not check:
        write(changes)
    sizes = {str(crd["metadata"]["name"]): crd_size(crd) for crd in planned.crds}
    if output == "json":
        click.echo(_json_report(changes, sizes, loaded.root, check))
    else:
        _text_report(changes, sizes, loaded.root, check)
    if check and drifted:
        raise SdkError(
            f"{len(drifted)} of {len(changes)} generated files are not what the Python types say",
            hint="run 'kopf-sdk generate' and commit the result",
        )


@generate.command()
@click.pass_obj
def crds(project: Path) -> None:
    """Write the CustomResourceDefinitions to standard output, for `kubectl apply --server-side -f -`."""
    click.echo(to_yaml_documents(crd_manifests(load_project(project).resources())), nl=False)


def _json_report(changes: list[Change], sizes: dict[str, int], root: Path, check: bool) -> str:
    files = [
        {"path": os.path.relpath(change.file.path, root), "change": change.kind}
        | ({"diff": change.diff} if check and change.diff else {})
        for change in changes
    ]
    crds = [{"name": name, "bytes": size, "limit": SIZE_LIMIT} for name, size in sizes.items()]
    return json.dumps({"files": files, "crds": crds}, indent=2)


def _text_report(changes: list[Change], sizes: dict[str, int], root: Path, check: bool) -> None:
    console = Console(stderr=True, soft_wrap=True)
    for change in changes:
        if check and change.diff:
            click.echo(change.diff, nl=False)
        elif not check:
            name = os.path.relpath(change.file.path, root)
            console.print(f"{_DONE[change.kind]:>9}  {escape(name)}", highlight=False)
    for name, size in sizes.items():
        console.print(
            f"{size / 1024:6.1f} KiB  {name}, {size / SIZE_LIMIT:.0%} of what an object can hold", highlight=False
        )
        if size > SIZE_LIMIT:
            console.print(
                f"[bold yellow]warning:[/] {name} is larger than {SIZE_LIMIT // 1024} KiB: client-side 'kubectl apply' "
                "and every tool that keeps the last applied configuration will refuse it",
                highlight=False,
            )
