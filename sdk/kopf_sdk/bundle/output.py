"""Output that is either there whole or not at all: directories swapped by renaming, compared byte by byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kopf_sdk.errors import SdkError

__all__ = ["differences", "replace_directory", "replace_file"]


def replace_directory(target: Path, files: Mapping[str, str | bytes]) -> None:
    """Make `target` hold exactly these files (path inside of it → content).

    They are written beside it first; the old directory is there until the new one takes its name.

    Raises
    ------
    SdkError
        Nothing can be written there, or `target` is something else than a directory made by this tool.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise SdkError(f"{target}: not a directory", hint="Give another --output.")
    if target.is_dir() and any(target.iterdir()) and not _replaceable(target):
        raise SdkError(
            f"{target}: holds other files than a bundle or catalog, so it is not replaced",
            hint="Give --output a directory of its own, or remove this one first.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise SdkError(f"{target.parent}: {error.strerror}") from error
    old = fresh.with_name(fresh.name + ".old")
    try:
        for name, content in sorted(files.items()):
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        fresh.chmod(0o755)
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise SdkError(f"{target}: {error.strerror}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def replace_file(target: Path, content: str | bytes) -> None:
    """Write a file by renaming a finished one to its name; raises SdkError."""
    data = content.encode() if isinstance(content, str) else content
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        path = Path(name)
        path.chmod(0o644)
        path.replace(target)
    except OSError as error:
        raise SdkError(f"{target}: {error.strerror}") from error


def differences(target: Path, files: Mapping[str, str | bytes]) -> list[str]:
    """Return how a directory differs from the files it should hold: missing, changed, left over."""
    there = (
        {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
        if target.is_dir()
        else set()
    )
    result = [f"{name}: left over" for name in sorted(there - set(files))]
    for name, content in sorted(files.items()):
        data = content.encode() if isinstance(content, str) else content
        if name not in there:
            result.append(f"{name}: missing")
        elif (target / name).read_bytes() != data:
            result.append(f"{name}: differs")
    return result


def _replaceable(target: Path) -> bool:
    """Say whether this tool may have made a directory.

    A bundle, an OCI image layout, or a catalog (only YAML and JSON).
    """
    names = {entry.name for entry in target.iterdir()}
    return (
        names <= {"manifests", "metadata", "tests"}
        or names == {"blobs", "index.json", "oci-layout"}
        or all(
            path.suffix in {".yaml", ".yml", ".json"} or path.name == ".indexignore"
            for path in target.rglob("*")
            if path.is_file()
        )
    )
