"""What the commands around a build do: a first bundle.yaml, the bundle's image, the lock of images."""

from __future__ import annotations

import json
from pathlib import Path

from kopf_sdk.bundle.build import BuildRequest, build, build_with_chart
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.init import initial_config
from kopf_sdk.bundle.lock import DEFAULT_LOCK, load_lock, resolve_lock
from kopf_sdk.bundle.oci import bundle_image, layout_tar
from kopf_sdk.bundle.output import replace_directory, replace_file
from kopf_sdk.bundle.registry import Registry, find_credentials
from kopf_sdk.bundle.report import Report
from kopf_sdk.errors import SdkError

__all__ = ["init_config", "lock_images", "make_image", "verify_images"]


def init_config(request: BuildRequest, output: Path) -> None:
    """Write a bundle.yaml for a chart; raises SdkError when the file is there already."""
    if output.exists():
        raise SdkError(f"{output}: exists already", hint="Remove it first, or give another --output.")
    built = build_with_chart(request)
    replace_file(output, initial_config(built.conversion, built.chart))


def make_image(directory: Path, reference: str, output: Path) -> str:
    """Write a bundle's OCI image; return the digest of its manifest."""
    bundle = load_bundle(directory)
    files = bundle_image(bundle, reference)
    if output.suffix == ".tar":
        replace_file(output, layout_tar(files))
    else:
        replace_directory(output, files)
    digest: str = json.loads(files["index.json"])["manifests"][0]["digest"]
    return digest


def lock_images(request: BuildRequest, lock: Path | None, auth_file: Path | None) -> Report:
    """Write the digests of a chart's images to the lock file."""
    conversion, path, references = _image_references(request, lock)
    registry = Registry(find_credentials(auth_file), conversion.config.images.mirrors)
    made = resolve_lock(references, registry)
    replace_file(path, made.dump())
    lines = [Notice(Level.INFO, "locked", f"{reference} → {facts.digest}") for reference, facts in made.images.items()]
    return Report(str(path), notices=lines, summary={"written": str(path)})


def verify_images(request: BuildRequest, lock: Path | None, auth_file: Path | None, *, online: bool) -> Report:
    """Compare a chart's images with the lock file, and the lock file with the registries if `online`."""
    conversion, path, references = _image_references(request, lock)
    known = load_lock(path)
    hint = "Lock again: kopf-sdk bundle images lock"
    notices = [
        Notice(Level.ERROR, "image-lock", f"{r} is not in {path}", None, hint) for r in known.missing(references)
    ]
    unused = sorted(set(known.images) - set(references))
    notices += [
        Notice(Level.WARNING, "image-lock", f"{r} is in {path}, and the chart does not use it", None, hint)
        for r in unused
    ]
    if online:
        registry = Registry(find_credentials(auth_file), conversion.config.images.mirrors)
        for reference, facts in known.images.items():
            now = registry.resolve(reference).digest
            if now != facts.digest:
                message = f"{reference} was {facts.digest}, and is {now} now"
                notices.append(Notice(Level.ERROR, "image-moved", message, None, hint))
    return Report(str(path), notices=notices)


def _image_references(request: BuildRequest, lock: Path | None) -> tuple[Conversion, Path, list[str]]:
    conversion = build(request, pin=False)
    images = conversion.config.images
    path = lock or conversion.config.path(images.lock or DEFAULT_LOCK)
    listed = (conversion.csv.get("spec") or {}).get("relatedImages") or ()
    return conversion, path, [str(image["image"]) for image in listed]
