"""The images that the demo and the end-to-end tests run, made on this machine."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.progress import Progress
from kopf_sdk.testing.images import base_image, reference

__all__ = ["Images", "build_images"]

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "localhost/memcached-operator"
# What the image of the operator is made of (operator/Containerfile).
SOURCES = (
    "operator/Containerfile",
    "operator/memcached_operator",
    "requirements/operator.txt",
    "sdk/kopf_sdk/__init__.py",
    "sdk/kopf_sdk/api",
    "sdk/kopf_sdk/errors.py",
    "sdk/kopf_sdk/runtime",
)


@dataclass(frozen=True)
class Images:
    """Names of the images; `archives` is empty when a registry has them."""

    operator: str
    memcached: str
    archives: tuple[Path, ...] = ()


def build_images(progress: Progress) -> Images:
    """Make memcached's image from packages and the operator's from the sources; what is there already is reused.

    The tag is a digest of the sources: a changed source is a new image, and so a new pod.

    Raises
    ------
    SdkError
        With what the container tool printed.
    """
    with progress.step("memcached's image made from packages"):
        memcached = base_image("memcached")
    base = base_image("python")
    name = f"{REPOSITORY}:{_digest(base)}"
    archive = ROOT / ".build" / f"{name.rpartition('/')[2].replace(':', '-')}.tar"
    with progress.step("operator's image built"):
        if not archive.exists():
            _build(name, archive)
    return Images(name, reference("memcached"), (memcached, archive))


def _build(name: str, archive: Path) -> None:
    archive.parent.mkdir(exist_ok=True)
    unfinished = archive.with_suffix(".part")
    command = [
        sys.executable,
        "-m",
        "kopf_sdk",
        "images",
        "build",
        "--local-base",
        "--quiet",
        "--tag",
        name,
        "--output",
        str(unfinished),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if result.returncode:
        raise SdkError(f"kopf-sdk images build failed:\n{result.stdout}{result.stderr}")
    for older in archive.parent.glob("memcached-operator-*.tar"):
        older.unlink()
    unfinished.rename(archive)


def _digest(base: Path) -> str:
    """Return a digest over names and contents of the sources, and over the base that they stand on."""
    digest = hashlib.sha256(base.parent.name.encode())  # the folder is named for the archive's content
    for path in _files():
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _files() -> Iterator[Path]:
    for source in SOURCES:
        path = ROOT / source
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)
