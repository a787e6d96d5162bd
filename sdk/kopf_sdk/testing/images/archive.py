"""Image archives: one tar that is an OCI layout and a docker-archive at once, so that every tool can read it."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images.definition import Definition
from kopf_sdk.testing.images.layer import EPOCH

__all__ = ["ARCHITECTURE", "layers", "references", "write"]

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_TYPE = "application/vnd.oci.image."
_CREATED = "2026-01-01T00:00:00Z"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def write(path: Path, reference: str, definition: Definition, layer: Path) -> None:
    """Write the archive of an image with one layer (image-spec 1.1; docker image spec 1.2 for manifest.json)."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = _json(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": _CREATED,
            "config": _settings(definition),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": _CREATED, "created_by": "kopf-sdk images base"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [
                {"mediaType": f"{_TYPE}layer.v1.tar", "digest": f"sha256:{digest}", "size": layer.stat().st_size}
            ],
        }
    )
    entry = _descriptor("manifest.v1+json", manifest) | {
        "annotations": {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
        },
        "platform": {"os": "linux", "architecture": ARCHITECTURE},
    }
    index = _json({"schemaVersion": 2, "mediaType": f"{_TYPE}index.v1+json", "manifests": [entry]})
    docker = _json([{"Config": _blob(config), "RepoTags": [reference], "Layers": [f"blobs/sha256/{digest}"]}])
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, blob in {
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": index,
            "manifest.json": docker,
            _blob(config): config,
            _blob(manifest): manifest,
        }.items():
            archive.addfile(_member(name, len(blob)), io.BytesIO(blob))
        with layer.open("rb") as content:
            archive.addfile(_member(f"blobs/sha256/{digest}", layer.stat().st_size), content)


def references(path: Path) -> list[str]:
    """The names that an archive gives its images, as `manifest.json` (docker-archive) has them.

    Raises
    ------
    SdkError
        The file is not such an archive.
    """
    return [tag for image in _manifest(path) for tag in image.get("RepoTags") or ()]


def layers(path: Path) -> Iterator[tarfile.TarFile]:
    """The layers of the only image in an archive, lowest first, each open for reading."""
    images = _manifest(path)
    if len(images) != 1:
        raise SdkError(f"{path} has {len(images)} images, one is expected")
    with tarfile.open(path) as archive:
        for name in images[0]["Layers"]:
            content = archive.extractfile(name)
            assert content is not None
            with tarfile.open(fileobj=content) as layer:
                yield layer


def _manifest(path: Path) -> list[dict[str, Any]]:
    try:
        with tarfile.open(path) as archive:
            member = archive.extractfile("manifest.json")
            assert member is not None
            images: list[dict[str, Any]] = json.load(member)
            return images
    except FileNotFoundError:
        raise SdkError(f"{path} does not exist") from None
    except (tarfile.TarError, KeyError, ValueError, IsADirectoryError):
        raise SdkError(
            f"{path} is not an image archive", hint="save one with `docker save` or `kopf-sdk images`"
        ) from None


def _settings(definition: Definition) -> dict[str, Any]:
    """The part of the image's config that a container runtime reads."""
    settings: dict[str, Any] = {
        "Env": [f"{name}={value}" for name, value in ({"PATH": _PATH} | definition.env).items()],
        "User": definition.user,
        "Entrypoint": list(definition.entrypoint),
        "Cmd": list(definition.command),
        "WorkingDir": definition.workdir,
        "ExposedPorts": {f"{port}/tcp": {} for port in definition.ports},
    }
    return {name: value for name, value in settings.items() if value}


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"mediaType": _TYPE + kind, "digest": f"sha256:{digest}", "size": len(content)}


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mtime = EPOCH
    return info
