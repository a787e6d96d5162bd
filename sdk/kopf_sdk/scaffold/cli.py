"""`kopf-sdk init`, `create`, `edit`, `update`: projects and what is in them, from templates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from kopf_sdk.errors import SdkError
from kopf_sdk.listing import Listing
from kopf_sdk.scaffold.layout import CONTROLLER, RESOURCE
from kopf_sdk.scaffold.merge import Plan, carry_out, plan
from kopf_sdk.scaffold.project import FILE, Api, Project, Scope, load
from kopf_sdk.scaffold.reload import run_reloading
from kopf_sdk.scaffold.render import key

__all__ = ["create", "edit", "init", "run", "update"]

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}
_HARMLESS = {".git", ".venv", "LICENSE", ".DS_Store", ".idea", ".vscode"}

_folder = click.option(
    "--project",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The project's folder; the current one by default.",
)
_output = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is reported which files changed."
)


def _kind(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name one version of a kind."""
    for option in (
        click.option("--kind", required=True, help="The kind, like Memcached."),
        click.option("--version", required=True, help="Version of the API, like v1alpha1."),
        click.option("--group", required=True, help="First part of the API group, like cache."),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--domain", required=True, help="Domain of the API groups, like example.com.")
@click.option("--name", help="Name of the project; that of the folder by default.")
@click.option("--multigroup", is_flag=True, help="Prepare for several API groups.")
@_folder
@_output
def init(domain: str, name: str | None, multigroup: bool, root: Path, output: str) -> None:
    """Start a project in an empty folder."""
    root = root.resolve()
    if (root / FILE).exists():
        raise SdkError(f"{root / FILE} exists: this folder has a project already", hint="use 'kopf-sdk create api'")
    if root.exists() and (there := sorted(entry.name for entry in root.iterdir() if entry.name not in _HARMLESS)):
        raise SdkError(f"{root} is not empty: {', '.join(there[:5])}", hint="start in an empty folder")
    project = Project(name=name or root.name, domain=domain, multigroup=multigroup)
    _bring_about(root, project, output)
    where = "" if root == Path.cwd() else f" --project {root}"
    _next(f"kopf-sdk create api --group GROUP --version v1alpha1 --kind Kind{where}")


@click.group(cls=Listing)
def create() -> None:
    """Add a kind, or its webhooks, to a project."""


@create.command()
@_kind
@click.option("--resource/--no-resource", default=True, help="Write the type, a sample, and the CRD.")
@click.option("--controller/--no-controller", default=None, help="Write the controller (unless the kind has one).")
@click.option("--namespaced", type=bool, help="Whether resources are in namespaces; true unless said otherwise.")
@click.option("--force", is_flag=True, help="Overwrite files that exist, but for those of --no-controller.")
@_folder
@_output
def api(  # noqa: PLR0917  # click calls it by keyword
    group: str,
    version: str,
    kind: str,
    resource: bool,
    controller: bool | None,
    namespaced: bool | None,
    force: bool,
    root: Path,
    output: str,
) -> None:
    """Add a kind: its type, its controller, a sample, a test."""
    root = root.resolve()
    project = load(root)
    existing = project.find(group, version, kind)
    added = existing or Api(group=group, version=version, kind=kind, resource=resource)
    if (
        existing is not None
        and not force
        and (existing.resource or not resource)
        and (existing.controller or not controller)
    ):
        raise SdkError(f"{group}/{version} {kind} exists already", hint="say --force to write its files anew")
    _refuse_clashes(project, group, kind)
    versions = [one for one in project.apis if (one.group, one.kind) == (group, kind)]
    siblings = [one for one in versions if one.version != version]
    if namespaced is None:
        namespaced = all(one.namespaced for one in versions)
    if any(one.namespaced != namespaced for one in (siblings if force else versions)):
        raise SdkError(
            f"{kind} is {'namespaced' if not namespaced else 'cluster-wide'}, in all its versions",
            hint="leave --namespaced out; with --force, a kind of one version can change",
        )
    controlled = any(one.controller for one in siblings)
    if controller and controlled:
        raise SdkError(
            f"{kind} has a controller already", hint="one controller reconciles all versions: --no-controller"
        )
    if not resource and existing is None:
        raise SdkError(f"--no-resource: {group}/{version} {kind} is not defined here", hint="leave --no-resource out")
    wanted = replace(
        added,
        namespaced=namespaced,
        controller=added.controller or (not controlled if controller is None else controller),
    )
    names = [*(RESOURCE if resource else ()), *(CONTROLLER if controller is not False else ())]
    anew = [key(wanted, name) for name in names] if force else ()
    _bring_about(root, _watchable(project.with_api(wanted)), output, anew=anew, force=force)
    _next("edit the type, then 'make generate'; complete the controller; 'make install run'")


@create.command()
@_kind
@click.option("--defaulting", is_flag=True, help="Fill in what the schema's defaults cannot.")
@click.option("--validation", "--programmatic-validation", is_flag=True, help="Refuse what the schema and CEL cannot.")
@click.option("--conversion", is_flag=True, help="Convert between versions.")
@_folder
@_output
def webhook(  # noqa: PLR0917  # click calls it by keyword
    group: str, version: str, kind: str, defaulting: bool, validation: bool, conversion: bool, root: Path, output: str
) -> None:
    """Add webhooks to a kind."""
    root = root.resolve()
    project = load(root)
    existing = project.find(group, version, kind)
    if existing is None or not existing.resource:
        raise SdkError(f"{group}/{version} {kind} does not exist", hint="create it with 'kopf-sdk create api'")
    if not (defaulting or validation or conversion):
        raise SdkError("no webhook is asked for", hint="say --defaulting, --validation or --conversion")
    wanted = replace(
        existing,
        defaulting=existing.defaulting or defaulting,
        validation=existing.validation or validation,
        conversion=existing.conversion or conversion,
    )
    if wanted == existing:
        raise SdkError(f"{group}/{version} {kind} has these webhooks already")
    _bring_about(root, project.with_api(wanted), output)


@click.command()
@click.option("--multigroup", type=bool, help="Whether there is room for several API groups; files move.")
@click.option("--scope", type=click.Choice(["namespace", "cluster"]), help="What the operator watches by default.")
@_folder
@_output
def edit(multigroup: bool | None, scope: Scope | None, root: Path, output: str) -> None:
    """Change how a project is laid out."""
    root = root.resolve()
    project = load(root)
    if multigroup is None and scope is None:
        raise SdkError("nothing to change", hint="say --multigroup=true|false or --scope=namespace|cluster")
    if multigroup is False and len({one.group for one in project.apis}) > 1:
        raise SdkError("the project has several API groups", hint="one group is all that fits without --multigroup")
    wanted = replace(
        project,
        multigroup=project.multigroup if multigroup is None else multigroup,
        scope=project.scope if scope is None else scope,
    )
    _bring_about(root, _watchable(wanted), output)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--reload", is_flag=True, help="Start it again after every change of a Python file.")
@click.argument("command", nargs=-1, required=True)
def run(reload: bool, command: tuple[str, ...]) -> int:
    """Run a command, like `python main.py`, and with --reload again after every change."""
    try:
        return run_reloading(command, Path()) if reload else subprocess.run(command, check=False).returncode
    except OSError as error:
        raise SdkError(f"{command[0]}: {error.strerror}", hint="kopf-sdk run takes a command, or `bundle`") from error


@click.command()
@_folder
@_output
def update(root: Path, output: str) -> None:
    """Bring a project to the templates of this version of kopf-sdk, keeping what you wrote."""
    root = root.resolve()
    _bring_about(root, load(root), output, conflicts_allowed=True)


def _refuse_clashes(project: Project, group: str, kind: str) -> None:
    groups = {one.group for one in project.apis}
    if groups and group not in groups and not project.multigroup:
        raise SdkError(
            f"the project has the group {groups.pop()}, and room for one",
            hint="run 'kopf-sdk edit --multigroup=true' first",
        )
    twins = {one.kind for one in project.apis if one.group == group and one.kind.lower() == kind.lower()}
    if twins and kind not in twins:
        raise SdkError(
            f"{kind} and {twins.pop()} would have the same names, in Kubernetes and here", hint="choose another name"
        )


def _watchable(project: Project) -> Project:
    """Return the project. Refuse what its operator could not do: it ends when it is started so."""
    wide = [api.kind for api in project.apis if not api.namespaced]
    if project.scope == "namespace" and wide:
        raise SdkError(
            f"{wide[0]} is cluster-wide: an operator for one namespace cannot watch it",
            hint="give the operator all namespaces, 'kopf-sdk edit --scope=cluster', or the kind to namespaces",
        )
    return project


def _bring_about(
    root: Path,
    project: Project,
    output: str,
    *,
    anew: Collection[str] = (),
    force: bool | None = None,
    conflicts_allowed: bool = False,
) -> None:
    """Write the project's files and what is generated from them, and report which."""
    steps = plan(root, project, anew=anew, force=force)
    if steps.conflicts and not conflicts_allowed:
        raise SdkError(
            f"what has to change in {', '.join(steps.conflicts)} was changed by hand",
            hint="undo your change there, run the command again, and make the change again; nothing was written",
        )
    carry_out(steps)
    if output == "text":
        _tell(steps)
    generated = [] if steps.conflicts else _generate(root, output)
    if output == "json":
        files = [{"path": str(one.file.path.relative_to(root)), "change": one.kind} for one in steps.changes]
        report = {"files": files + generated, "kept": steps.kept, "conflicts": steps.conflicts}
        click.echo(json.dumps(report, indent=2))
    if steps.conflicts:
        raise SdkError(
            f"both you and the templates changed the same lines of {', '.join(steps.conflicts)}",
            hint="resolve what stands between <<<<<<< and >>>>>>>, then run 'make generate test'",
        )


def _tell(steps: Plan) -> None:
    console = Console(stderr=True, soft_wrap=True)
    for change in steps.changes:
        if change.kind != "unchanged":
            path = change.file.path.relative_to(steps.root)
            console.print(f"{_DONE[change.kind]:>9}  {escape(str(path))}", highlight=False)
    for kept in steps.kept:
        console.print(f"{'kept':>9}  {escape(kept)}: no longer scaffolded, but you changed it", highlight=False)


def _generate(root: Path, output: str) -> list[dict[str, str]]:
    """Run `kopf-sdk generate` in a process of its own: the project's modules have just changed."""
    code = f"from kopf_sdk.cli import main; main(['generate', '--output', '{output}'])"
    stdout = subprocess.PIPE if output == "json" else None
    done = subprocess.run([sys.executable, "-c", code], cwd=root, stdout=stdout, text=True, check=False)
    if done.returncode != 0:
        raise SdkError(
            "the files are written, but 'kopf-sdk generate' failed", hint="correct what it names, run it again"
        )
    files: list[dict[str, str]] = json.loads(done.stdout)["files"] if output == "json" else []
    return files


def _next(step: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold]next:[/] {escape(step)}", highlight=False)
