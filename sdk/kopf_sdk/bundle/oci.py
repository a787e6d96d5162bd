"""A bundle as an OCI image, made without Docker: one layer, labels from the annotations, the same bytes every time.

OCI image format: https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle

__all__ = ["bundle_image", "layout_tar"]

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"


def bundle_image(bundle: Bundle, reference: str = "") -> dict[str, bytes]:
    """Return the files of an OCI image layout that holds the bundle's image.

    Parameters
    ----------
    reference
        The name that tools show and push it under; none when empty.
    """
    layer = _tar({path: bundle.files[path] for path in sorted(bundle.files)})
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    labels = {key: str(value) for key, value in bundle.annotations.items()}
    config = _json(
        {
            "architecture": "amd64",
            "config": {"Labels": labels},
            "os": "linux",
            "rootfs": {"diff_ids": [_digest(layer)], "type": "layers"},
        }
    )
    manifest = _json(
        {
            "config": _descriptor(_CONFIG, config),
            "layers": [_descriptor(_LAYER, packed)],
            "mediaType": _MANIFEST,
            "schemaVersion": 2,
        }
    )
    entry = _descriptor(_MANIFEST, manifest)
    if reference:
        entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    index = _json({"manifests": [entry], "mediaType": _INDEX, "schemaVersion": 2})
    blobs = {f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}": blob for blob in (config, manifest, packed)}
    return {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs}


def layout_tar(files: Mapping[str, bytes]) -> bytes:
    """Return an image layout as one archive, for `docker load`, `skopeo copy oci-archive:`, `ctr image import`."""
    return _tar(files)


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        folders = {parent for path in files for parent in _parents(path)}
        for name in sorted(folders | set(files)):
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if name in folders else 0o644
            if name in folders:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(files[name])
                archive.addfile(info, io.BytesIO(files[name]))
    return buffer.getvalue()


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"digest": _digest(blob), "mediaType": media_type, "size": len(blob)}
