"""A file-based catalog in memory; read from and written to a directory.

Schemas after operator-registry `alpha/declcfg/declcfg.go`: olm.package, olm.channel, olm.bundle, olm.deprecations.
Blobs of other schemas are kept as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.semver import Version
from kopf_sdk.errors import SdkError

__all__ = ["Blob", "Catalog", "bundle_version", "catalog_files", "load_catalog"]

Blob = dict[str, Any]
_KNOWN = ("olm.package", "olm.channel", "olm.bundle", "olm.deprecations")


@dataclass(slots=True, eq=False, repr=False)
class Catalog:
    """The blobs of a catalog, by schema."""

    packages: list[Blob] = field(default_factory=list)
    channels: list[Blob] = field(default_factory=list)
    bundles: list[Blob] = field(default_factory=list)
    deprecations: list[Blob] = field(default_factory=list)
    others: list[Blob] = field(default_factory=list)

    def add(self, blob: Blob) -> None:
        """Put a blob where its schema belongs."""
        tables = dict(zip(_KNOWN, (self.packages, self.channels, self.bundles, self.deprecations), strict=True))
        tables.get(str(blob.get("schema")), self.others).append(blob)

    def package(self, name: str) -> Blob | None:
        return next((blob for blob in self.packages if blob.get("name") == name), None)

    def channel(self, package: str, name: str) -> Blob | None:
        return next((b for b in self.channels if b.get("package") == package and b.get("name") == name), None)

    def bundle(self, package: str, name: str) -> Blob | None:
        return next((b for b in self.bundles if b.get("package") == package and b.get("name") == name), None)

    def channels_of(self, package: str) -> list[Blob]:
        return [blob for blob in self.channels if blob.get("package") == package]

    def package_names(self) -> list[str]:
        """Return every package that some blob names."""
        named = {str(blob.get("name")) for blob in self.packages}
        named |= {str(b.get("package")) for b in (*self.channels, *self.bundles, *self.deprecations)}
        return sorted(named)

    def blobs(self, package: str) -> Iterator[Blob]:
        """Yield the blobs of a package in the order in which they are written: sorted, bundles by version."""
        yield from (blob for blob in self.packages if blob.get("name") == package)
        for table in (sorted(self.channels, key=lambda b: str(b.get("name"))), sorted(self.bundles, key=_order)):
            yield from (blob for blob in table if blob.get("package") == package)
        yield from (blob for blob in (*self.deprecations, *self.others) if blob.get("package") == package)


def bundle_version(blob: Mapping[str, Any]) -> Version:
    """Return the version in a bundle's olm.package property; raises ValueError without one."""
    for item in blob.get("properties") or ():
        if item.get("type") == "olm.package":
            return Version.parse(str((item.get("value") or {}).get("version")))
    raise ValueError(f"bundle {blob.get('name')} has no olm.package property")


def _order(blob: Mapping[str, Any]) -> tuple[Version, str]:
    try:
        return bundle_version(blob), str(blob.get("name"))
    except ValueError:
        return Version(0, 0, 0), str(blob.get("name"))


def load_catalog(directory: Path) -> Catalog:
    """Return the catalog in a directory (any folders, YAML or JSON, any number of blobs per file).

    Raises
    ------
    SdkError
        There is no such directory, or a file is not YAML or JSON with a schema in every document.
    """
    if not directory.is_dir():
        raise SdkError(f"{directory}: no such directory", hint="`kopf-sdk catalog build` makes a catalog.")
    catalog = Catalog()
    for path in sorted(directory.rglob("*")):
        if path.suffix not in {".yaml", ".yml", ".json"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        documents = _json_stream(text, path) if path.suffix == ".json" else yaml.load_all(text, source=str(path))
        for number, blob in enumerate(documents):
            if blob is None:
                continue
            if not isinstance(blob, dict) or not blob.get("schema"):
                raise SdkError(
                    f"{path}, document {number + 1}: schema: missing", hint="Every blob of a catalog has one."
                )
            catalog.add(blob)
    return catalog


def _json_stream(text: str, path: Path) -> Iterator[Any]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError as error:
            raise SdkError(f"{path}: not JSON: {error}") from error
        yield value


def catalog_files(catalog: Catalog) -> dict[str, str]:
    """Return the files of a catalog: one per package, `<package>/catalog.yaml`."""
    return {
        f"{name}/catalog.yaml": yaml.dump_all(list(_plain(catalog.blobs(name)))) for name in catalog.package_names()
    }


def _plain(blobs: Iterable[Blob]) -> Iterator[Blob]:
    """Write the schema first, then the names; the rest as it comes."""
    for blob in blobs:
        head: Blob = {key: blob[key] for key in ("schema", "name", "package") if key in blob}
        yield {**head, **{key: value for key, value in blob.items() if key not in head}}
