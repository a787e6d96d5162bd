"""Images in the node's containerd: brought in as archives, there is no registry."""

from __future__ import annotations

import re
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from kopf_sdk.errors import SdkError

__all__ = ["check_archive", "export_image", "image_names", "import_image", "parse_imported", "tag_image"]

_MAKE = "make it with 'docker save', 'podman save' or 'buildah push IMAGE oci-archive:FILE:IMAGE'"
_IMPORTED = re.compile(r"^unpacking (\S+) \((sha256:[0-9a-f]{64})\)", re.MULTILINE)


def check_archive(archive: Path) -> None:
    """Raise an SdkError unless the file is there and is a tar archive."""
    try:
        if tarfile.is_tarfile(archive):
            return
    except OSError as error:
        raise SdkError(f"{archive}: {error.strerror}", hint=_MAKE) from error
    raise SdkError(f"{archive}: this is not an image archive", hint=_MAKE)


def import_image(init_pid: int, archive: Path, snapshotter: str) -> dict[str, str]:
    """Import an OCI or Docker archive; returns the names it brought with their digests.

    Raises
    ------
    SdkError
        containerd refuses the archive, or there is no image with a name in it.
    """
    try:
        with archive.open("rb") as stream:
            output = _ctr(init_pid, ["images", "import", "--snapshotter", snapshotter, "-"], stream)
    except subprocess.CalledProcessError as error:
        raise SdkError(
            f"{archive}: containerd cannot import it: {error.stderr.strip()}",
            hint=_MAKE,
        ) from error
    names = parse_imported(output)
    if not names:
        raise SdkError(
            f"{archive}: the archive has no image with a name",
            hint="give the image a name when it is saved: 'docker save NAME:TAG', not the image's ID",
        )
    return names


def parse_imported(output: str) -> dict[str, str]:
    """Names and digests in what `ctr images import` prints."""
    return dict(_IMPORTED.findall(output))


def export_image(init_pid: int, name: str, archive: Path) -> None:
    """Write an image of the node into an OCI archive."""
    command = ["images", "export", "/dev/stdout", name]
    try:
        archive.write_bytes(_ctr_bytes(init_pid, command))
    except subprocess.CalledProcessError as error:
        raise SdkError(f"image {name}: cannot be exported: {error.stderr.decode(errors='replace').strip()}") from error


def image_names(init_pid: int) -> set[str]:
    """Every name under which the node knows an image."""
    return set(_ctr(init_pid, ["images", "list", "--quiet"]).split())


def tag_image(init_pid: int, source: str, target: str) -> None:
    """Give an image another name, for example `name@sha256:…`."""
    try:
        _ctr(init_pid, ["images", "tag", "--force", source, target])
    except subprocess.CalledProcessError as error:
        raise SdkError(f"image {source}: cannot be tagged {target}: {error.stderr.strip()}") from error


def _ctr(init_pid: int, arguments: Sequence[str], stdin: BinaryIO | None = None) -> str:
    return subprocess.run(
        _command(init_pid, arguments), stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout


def _ctr_bytes(init_pid: int, arguments: Sequence[str]) -> bytes:
    return subprocess.run(
        _command(init_pid, arguments), stdin=subprocess.DEVNULL, capture_output=True, check=True
    ).stdout


def _command(init_pid: int, arguments: Sequence[str]) -> list[str]:
    namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc"]
    return ["nsenter", "--target", str(init_pid), *namespaces, "--", "ctr", "--namespace", "k8s.io", *arguments]
