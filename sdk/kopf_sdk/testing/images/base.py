"""Make the images of images.toml, or take them from the cache."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory, locked
from kopf_sdk.testing.images import archive, debian
from kopf_sdk.testing.images.definition import Definition, load_definitions
from kopf_sdk.testing.images.layer import Layer, check_libraries, compile_python, unpacked
from kopf_sdk.testing.tools.build import ensure
from kopf_sdk.testing.tools.estimate import duration
from kopf_sdk.testing.tools.pins import load_pins

__all__ = ["base_image", "reference"]

# Raised when the way images are put together changes, so that those in caches are made again.
_RECIPE = "2"


def base_image(name: str, *, refresh: bool = False, console: Console | None = None, source: Path | None = None) -> Path:
    """Path of the image's archive (OCI layout and docker-archive in one tar), made when it is not in the cache.

    Parameters
    ----------
    name
        A name of images.toml: memcached, pause, python, ...
    refresh
        Make it again, with today's packages.
    console
        Where progress goes, standard error when left out; silent when nothing is made.
    source
        Another file than images.toml of this package.

    Raises
    ------
    SdkError
        An unknown name, or what is missing on this machine to make it.
    """
    definitions = load_definitions(source)
    if name not in definitions:
        raise SdkError(f"there is no image named {name!r}", hint=f"images: {', '.join(definitions)}")
    definition = definitions[name]
    path = cache_directory() / "images" / _key(definition) / f"{name}.tar"
    if path.is_file() and not refresh:
        return path
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    told = console
    lock = cache_directory() / "images" / "lock"
    with locked(
        lock,
        lambda holder: told.print(f"images are being made by process {holder}, waiting for it"),
        enough=lambda: path.is_file() and not refresh,
    ) as held:
        if held is not None and (refresh or not path.is_file()):
            start = time.monotonic()
            with console.status(f"making image {name}"):
                _make(definition, path, console)
            console.print(f"made image {archive.references(path)[0]} in {duration(time.monotonic() - start)}")
    return path


def reference(name: str) -> str:
    """The name to use in pods, as localhost/kopf-sdk/memcached:1.6.45; the image is made when it is not there."""
    return archive.references(base_image(name))[0]


def _key(definition: Definition) -> str:
    digest = hashlib.sha256(
        f"{_RECIPE} {archive.ARCHITECTURE} {definition.model_dump_json(exclude_defaults=True)}".encode()
    )
    for tool in load_pins().select(definition.programs.values()) if definition.programs else ():
        digest.update(tool.key.encode())
    return digest.hexdigest()[:20]


def _make(definition: Definition, path: Path, console: Console) -> None:
    versions: dict[str, str] = {}
    layer = Layer()
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-image-") as folder:
        if definition.packages:
            for package in debian.fetch(definition.suites, definition.packages, Path(folder)):
                layer.package(package, definition.exclude)
                versions[package.name] = package.upstream
        if definition.programs:
            pins = load_pins()
            for target, tool in definition.programs.items():
                program = ensure([tool], console=console)[tool]
                layer.file(target, program.read_bytes(), mode=0o755)
                versions[tool] = pins.tools[tool].version
        for applet in definition.applets:
            layer.link(f"usr/bin/{applet}", "busybox")
        for link, target in definition.links.items():
            layer.link(link, target)
        layer.users(definition.users)
        name = definition.named(versions.get(definition.version_of, ""))
        tar = Path(folder) / "layer.tar"
        layer.write(tar)
        if definition.check or definition.compile:
            with unpacked(tar) as root:
                check_libraries(root, definition.check)
                for folder_to_compile in definition.compile:
                    for compiled, content in compile_python(root, folder_to_compile):
                        layer.file(compiled, content)
            layer.write(tar)
        fresh = Path(folder) / "image.tar"
        archive.write(fresh, name, definition, tar)
        path.parent.mkdir(parents=True, exist_ok=True)
        near = path.with_name(f".{path.name}.new")
        shutil.copyfile(fresh, near)
        near.replace(path)
