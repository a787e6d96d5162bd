"""What is pinned: the programs of `tools/tools.toml`, with the versions that their `go.mod` require."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

import kopf_sdk
from kopf_sdk.errors import SdkError

__all__ = ["Pins", "Tool", "checkout", "load_pins", "pins_directory"]

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]


class _Entry(BaseModel):
    """One `[tools.NAME]` of tools.toml; what the fields mean is written there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: Name
    package: str
    requires: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    link: str = ""
    ask: tuple[str, ...] = ()
    cpu: PositiveFloat


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: dict[Name, tuple[Name, ...]]
    link: dict[str, tuple[str, ...]]
    tools: dict[Name, _Entry]


@dataclass(frozen=True)
class Tool:
    """A program, the version it must have, and how to build it."""

    name: str
    version: str
    module: Path
    """Folder with go.mod and go.sum."""
    package: str
    tags: tuple[str, ...]
    link: tuple[str, ...]
    ask: tuple[str, ...]
    cpu: float
    """CPU seconds of the build from an empty cache, when the tools before it in tools.toml have been built."""

    @cached_property
    def key(self) -> str:
        """Changes whenever another binary would come out: by pins, own sources, flags or the machine's kind."""
        digest = hashlib.sha256()
        settings = (
            self.name,
            self.version,
            self.package,
            *self.tags,
            "",
            *self.link,
            platform.system(),
            platform.machine(),
        )
        digest.update("\0".join(settings).encode())
        for source in sorted(self.module.iterdir()):
            if source.name in {"go.mod", "go.sum"} or source.suffix in {".go", ".c"}:
                digest.update(f"\0{source.name}\0".encode() + source.read_bytes())
        return digest.hexdigest()[:20]

    @cached_property
    def go(self) -> tuple[int, ...]:
        """The oldest Go that can build it, as (1, 25, 0)."""
        found = re.search(r"^go (\d+(?:\.\d+)*)", (self.module / "go.mod").read_text(), re.MULTILINE)
        return tuple(int(part) for part in found[1].split(".")) if found else (1, 21)

    def tells(self, output: str) -> bool:
        """Whether what the program printed contains its pinned version, and not a longer or another one."""
        bare = re.escape(self.version.removeprefix("v"))
        return re.search(rf"(?<![\d.])v?{bare}(?![\d-]|\.\d)", output) is not None


@dataclass(frozen=True)
class Pins:
    """All programs in the order of their builds, and the groups they are asked for by."""

    directory: Path
    tools: dict[str, Tool]
    groups: dict[str, tuple[str, ...]]

    def select(self, names: Iterable[str]) -> list[Tool]:
        """Tools for names and groups, in the order of building; no names are all of them.

        Raises
        ------
        SdkError
            A name is neither a tool nor a group.
        """
        wanted: set[str] = set()
        for name in names:
            if name in self.tools:
                wanted.add(name)
            elif name in self.groups:
                wanted.update(self.groups[name])
            else:
                raise SdkError(
                    f"there is no tool and no group of tools named {name!r}",
                    hint=f"groups: {', '.join(self.groups)}; tools: {', '.join(self.tools)}",
                )
        return [tool for tool in self.tools.values() if not wanted or tool.name in wanted]


def checkout() -> Path | None:
    """Root of the source checkout that this package runs from, None when it was installed."""
    root = Path(kopf_sdk.__file__).resolve().parents[2]
    return root if (root / "tools" / "tools.toml").is_file() else None


def pins_directory() -> Path:
    """Folder of tools.toml: $KOPF_SDK_TOOLS_DIR, else `tools` of the checkout, else what was installed with the SDK."""
    if named := os.environ.get("KOPF_SDK_TOOLS_DIR"):
        return Path(named).resolve()
    root = checkout()
    return root / "tools" if root else Path(kopf_sdk.__file__).resolve().parent / "testing" / "pins"


def load_pins(directory: Path | None = None) -> Pins:
    """Read tools.toml and the go.mod files beside it.

    Raises
    ------
    SdkError
        A file is missing or wrong; the message names file and field.
    """
    directory = directory or pins_directory()
    path = directory / "tools.toml"
    try:
        file = _File.model_validate(tomllib.loads(path.read_text()))
    except FileNotFoundError:
        raise SdkError(
            f"{path} does not exist", hint="point KOPF_SDK_TOOLS_DIR to the folder `tools` of a checkout"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SdkError(f"{path}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise SdkError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    tools = {name: _tool(path, name, entry, file) for name, entry in file.tools.items()}
    for group, members in file.groups.items():
        if unknown := [member for member in members if member not in tools]:
            raise SdkError(f"{path}: groups.{group}: no such tool: {', '.join(unknown)}")
    return Pins(directory, tools, file.groups)


def _tool(path: Path, name: str, entry: _Entry, file: _File) -> Tool:
    module = path.parent / entry.module
    if bool(entry.version) == bool(entry.requires):
        raise SdkError(f"{path}: tools.{name}: give either `requires` or `version`")
    if entry.link and entry.link not in file.link:
        raise SdkError(f"{path}: tools.{name}.link: there is no set {entry.link!r} in [link]")
    version = entry.version or _required(module / "go.mod", entry.requires)
    known = {"version": version, **_parts("", version)}
    if any("{kubernetes_" in variable for variable in file.link.get(entry.link, ())):
        known |= _parts("kubernetes_", _required(path.parent / "kubernetes" / "go.mod", "k8s.io/kubernetes"))
    return Tool(
        name=name,
        version=version,
        module=module,
        package=entry.package,
        tags=entry.tags,
        link=_fill(file.link.get(entry.link, ()), known, f"{path}: link.{entry.link}"),
        ask=entry.ask,
        cpu=entry.cpu,
    )


def _required(go_mod: Path, module: str) -> str:
    try:
        text = go_mod.read_text()
    except FileNotFoundError:
        raise SdkError(f"{go_mod} does not exist") from None
    found = re.search(rf"^\s*(?:require\s+)?{re.escape(module)}\s+(v\S+)", text, re.MULTILINE)
    if not found:
        raise SdkError(f"{go_mod} does not require {module}")
    return found[1]


def _parts(prefix: str, version: str) -> dict[str, str]:
    major, minor, *_ = [*version.removeprefix("v").split("."), "0"]
    return {f"{prefix}major": major, f"{prefix}minor": minor}


def _fill(variables: Sequence[str], known: dict[str, str], where: str) -> tuple[str, ...]:
    try:
        return tuple(variable.format_map(known) for variable in variables)
    except (KeyError, ValueError, IndexError) as error:
        raise SdkError(f"{where}: unknown placeholder {error}; known: {', '.join(known)}") from None
