"""Complete go.mod and go.sum after somebody has changed a version in go.mod."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rich.console import Console

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.tools.pins import Pins
from kopf_sdk.testing.tools.toolchain import find_go, go_environment

__all__ = ["resolve"]


def resolve(pins: Pins, modules: list[str], console: Console) -> None:
    """Let Go add what the programs of these modules need to go.mod and go.sum; nothing is compiled.

    `go mod tidy` would do too much: it also wants the tests of every dependency.

    Raises
    ------
    SdkError
        An unknown module, or Go could not resolve it.
    """
    known: dict[Path, list[str]] = {}
    tags: dict[Path, set[str]] = {}
    for tool in pins.tools.values():
        known.setdefault(tool.module, []).append(tool.package)
        tags.setdefault(tool.module, set()).update(tool.tags)
    names = {folder.name: folder for folder in known}
    if unknown := [name for name in modules if name not in names]:
        raise SdkError(f"no module of tools is named {', '.join(unknown)}", hint=f"modules: {', '.join(names)}")
    for name in modules or names:
        folder = names[name]
        go = find_go(
            max(tool.go for tool in pins.tools.values() if tool.module == folder), pins.directory, say=console.print
        )
        command = [str(go), "list", "-mod=mod", "-deps", f"-tags={','.join(sorted(tags[folder]))}", *known[folder]]
        done = subprocess.run(command, cwd=folder, env=go_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SdkError(f"{folder / 'go.mod'}: {done.stderr.strip()[-1000:]}")
        console.print(f"{folder / 'go.mod'} and go.sum are complete")
