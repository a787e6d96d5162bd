"""Brings new pristine files into a project without losing what people wrote: a three-way merge per file.

The pristine text of every scaffolded file is kept in `.kopf-sdk.json`. A file that nobody touched is replaced, one that
was changed is merged with `git merge-file`, one that was deleted stays deleted. Where modules move, a file is merged
with their new names in it.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk import __version__
from kopf_sdk.errors import SdkError
from kopf_sdk.generate.output import Change, File, compare, write
from kopf_sdk.scaffold.layout import dotted
from kopf_sdk.scaffold.project import FILE, Project, to_text
from kopf_sdk.scaffold.render import Rendered, render

__all__ = ["BASE", "Plan", "carry_out", "plan"]

BASE = ".kopf-sdk.json"


@dataclass(frozen=True)
class Plan:
    """What has to happen to a project's files."""

    root: Path
    changes: list[Change]
    conflicts: list[str]
    """Paths where both the templates and people changed the same lines; marked as git does."""
    kept: list[str]
    """Paths that no template writes any more, left because people changed them."""


def plan(root: Path, project: Project, *, anew: Collection[str] = (), force: bool | None = None) -> Plan:
    """Return what turns the folder's project into the one described.

    Parameters
    ----------
    root
        The project's folder.
    project
        The description wanted.
    anew
        Keys of files that are written as if for the first time.
    force
        Whether files that exist, but do not come from a template, may be overwritten; None if nobody can be asked.

    Raises
    ------
    SdkError
        A new file would overwrite one that exists.
    """
    base, wanted = _load(root), render(project)
    moved = _moved(base, wanted)
    files: dict[str, str | None] = {FILE: to_text(project), BASE: _dump(wanted)}
    conflicts, kept = [], []
    for key, new in wanted.items():
        old = base.get(key)
        if old is not None and key in anew:
            files[new.path] = new.text
            continue
        if old is None:
            _refuse_overwriting(root / new.path, new.text, force)
            files[new.path] = new.text
            continue
        source = root / old.path
        if not source.exists():
            continue
        text, clean = _merge(moved(_read(source)), moved(old.text), new.text)
        if not clean:
            conflicts.append(old.path)
        if old.path != new.path:
            _refuse_overwriting(root / new.path, text, force)
            files.setdefault(old.path, None)
        files[new.path] = text
    for key, old in base.items():
        source = root / old.path
        if key in wanted or not source.exists() or files.get(old.path) is not None:
            continue
        if _read(source) == old.text:
            files[old.path] = None
        else:
            kept.append(old.path)
    planned = [File(root / path, text) for path, text in sorted(files.items())]
    return Plan(root, compare(planned, root), conflicts, kept)


def carry_out(steps: Plan) -> None:
    """Write the files, and remove folders that became empty."""
    write(steps.changes)
    for change in steps.changes:
        if change.kind == "delete":
            _remove_empty(change.file.path.parent, steps.root)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root and folder.is_dir():
        left = [entry for entry in folder.iterdir() if entry.name != "__pycache__"]
        if left:
            return
        for cached in folder.glob("__pycache__/*.pyc"):
            cached.unlink()
        for entry in folder.iterdir():
            entry.rmdir()
        folder.rmdir()
        folder = folder.parent


def _moved(base: dict[str, Rendered], wanted: dict[str, Rendered]) -> Callable[[str], str]:
    """Return what writes the new names of modules that move, so that a line which imports one is no conflict."""
    names = {
        dotted(old.path): dotted(wanted[key].path)
        for key, old in base.items()
        if key in wanted and old.path != wanted[key].path and old.path.endswith(".py")
    }
    if not names:
        return lambda text: text
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, names))})(?![\w])")
    return lambda text: pattern.sub(lambda found: names[found[1]], text)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SdkError(f"{path} cannot be read: {error}", hint="every scaffolded file is text in UTF-8") from error


def _merge(current: str, base: str, new: str) -> tuple[str, bool]:
    if current in (base, new):
        return new, True
    if new == base:
        return current, True
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-") as folder:
        names = ("yours", "scaffolded before", "scaffolded now")
        for name, text in zip(names, (current, base, new), strict=True):
            (Path(folder) / name).write_text(text, encoding="utf-8")
        command = ["git", "merge-file", "-p", *(f"-L{name}" for name in names), *names]
        try:
            merged = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            raise SdkError(
                "git is not installed", hint="install it: it merges your changes with the templates'"
            ) from error
    return merged.stdout, merged.returncode == 0


def _refuse_overwriting(path: Path, text: str, force: bool | None) -> None:
    if path.exists() and not force and path.read_text(encoding="utf-8", errors="replace") != text:
        choice = "move it away" if force is None else "move it away, or say --force to overwrite it"
        raise SdkError(f"{path} exists already", hint=choice)


def _load(root: Path) -> dict[str, Rendered]:
    source = root / BASE
    if not source.exists() and (root / FILE).exists():
        raise SdkError(
            f"{source} is missing: without it your changes cannot be told from the templates'",
            hint="restore it from version control",
        )
    if not source.exists():
        return {}
    try:
        files = json.loads(source.read_text(encoding="utf-8"))["files"]
        return {key: Rendered(entry["path"], "\n".join(entry["text"])) for key, entry in files.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise SdkError(f"{source} cannot be read: {error}", hint="restore it from version control") from error


def _dump(files: dict[str, Rendered]) -> str:
    """Return the pristine files as JSON, one line of text per line, so that it merges well itself."""
    entries = {key: {"path": file.path, "text": file.text.split("\n")} for key, file in sorted(files.items())}
    note = "What the templates wrote. kopf-sdk needs it to merge later versions with your changes: commit it."
    return json.dumps({"note": note, "version": __version__, "files": entries}, indent=1, ensure_ascii=False) + "\n"
