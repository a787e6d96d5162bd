"""The bundle to run: a directory, an image archive, or an image of the node or of a registry."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle, load_bundle
from kopf_sdk.bundle.oci import bundle_image, layout_tar
from kopf_sdk.bundle.registry import Registry, find_credentials
from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl

__all__ = ["BundleSource", "open_source"]

_FOLDERS = ("manifests/", "metadata/", "tests/")
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")


@dataclass(frozen=True)
class BundleSource:
    """A bundle, and how a cluster gets at it.

    Attributes
    ----------
    directory
        With manifests/ and metadata/.
    archive
        Its image as an archive that a node can load; None when the cluster pulls `reference` itself.
    reference
        The image in a registry; empty when there is none.
    """

    bundle: Bundle
    directory: Path
    archive: Path | None
    reference: str = ""


@contextmanager
def open_source(text: str, cluster: Kubectl) -> Iterator[BundleSource]:
    """Yield the bundle that `text` names; what is unpacked for it is gone afterwards.

    Raises
    ------
    SdkError
        There is no such directory, archive or image, or it holds no bundle.
    """
    path = Path(text)
    with TemporaryDirectory(prefix="kopf-sdk-bundle-") as made:
        folder = Path(made)
        if path.is_dir():
            bundle = load_bundle(path)
            archive = folder / "bundle.tar"
            name = (
                f"localhost/kopf-sdk/{bundle.package or 'unnamed'}-bundle:{bundle.spec.get('version', 'unversioned')}"
            )
            archive.write_bytes(layout_tar(bundle_image(bundle, name.replace("+", "-"))))
            yield BundleSource(bundle, path, archive)
        elif path.is_file():
            yield _from_archive(path, folder, text)
        elif text.startswith((".", "/")) or text.endswith(".tar"):
            raise SdkError(f"{text}: no such directory or archive", hint="give a bundle's directory, or its image")
        elif isinstance(cluster, Cluster) and text in cluster.image_names():
            archive = folder / "bundle.tar"
            cluster.export_image(text, archive)
            yield _from_archive(archive, folder, text)
        else:
            try:
                directory = _unpack(_layers(_registry_blobs(text), text), folder, text)
            except SdkError as error:
                hint = "the bundle's directory will do too, or the archive that `kopf-sdk bundle image` writes"
                raise SdkError(error.message, hint=hint) from error
            yield BundleSource(load_bundle(directory), directory, None, text)


def _from_archive(archive: Path, folder: Path, text: str) -> BundleSource:
    directory = _unpack(_layers(_archive_blobs(archive), text), folder, text)
    return BundleSource(load_bundle(directory), directory, archive)


def _archive_blobs(archive: Path) -> Callable[[str], bytes]:
    """Return what reads blobs of an OCI layout by digest; an empty digest is its index."""
    try:
        with tarfile.open(archive) as tar:
            files = {item.name.removeprefix("./"): tar.extractfile(item) for item in tar if item.isreg()}
            content = {name: stream.read() for name, stream in files.items() if stream is not None}
    except tarfile.TarError as error:
        raise SdkError(f"{archive}: not an image archive: {error}") from error
    if "index.json" not in content:
        raise SdkError(f"{archive}: not an OCI archive", hint="make one: kopf-sdk bundle image DIR --output FILE")

    def blob(digest: str) -> bytes:
        name = "index.json" if not digest else f"blobs/{digest.replace(':', '/')}"
        if name not in content:
            raise SdkError(f"{archive}: {name} is missing")
        return content[name]

    return blob


def _registry_blobs(reference: str) -> Callable[[str], bytes]:
    registry = Registry(find_credentials())
    return lambda digest: registry.fetch(reference, digest)


def _layers(blob: Callable[[str], bytes], where: str) -> Iterator[bytes]:
    """The layers of an image, lowest first; of an index, of its first manifest: bundles are for every platform."""
    document = _document(blob(""), where)
    while "manifests" in document or document.get("mediaType") in _INDEXES:
        document = _document(blob(document["manifests"][0]["digest"]), where)
    for layer in document.get("layers") or ():
        content = blob(layer["digest"])
        yield gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _document(content: bytes, where: str) -> Mapping[str, Any]:
    try:
        value: Mapping[str, Any] = json.loads(content)
    except ValueError as error:
        raise SdkError(f"{where}: its manifest is not JSON") from error
    return value


def _unpack(layers: Iterator[bytes], folder: Path, where: str) -> Path:
    """Write the files of a bundle that layers hold; raises SdkError when there are none."""
    directory = folder / "bundle"
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for item in tar:
                name = item.name.removeprefix("./").lstrip("/")
                content = tar.extractfile(item) if item.isreg() and ".." not in Path(name).parts else None
                if content is not None and name.startswith(_FOLDERS):
                    target = directory / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())
    if not directory.is_dir():
        raise SdkError(
            f"{where}: the image has no manifests/ and metadata/, so it is no bundle",
            hint="kopf-sdk bundle image makes a bundle's image",
        )
    return directory
