"""Catalogs made from bundle directories: edges from the CSVs, else from the order of versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle, load_bundle
from kopf_sdk.bundle.catalog.crd_safety import unsafe_upgrades
from kopf_sdk.bundle.catalog.graph import heads
from kopf_sdk.bundle.catalog.model import Blob, Catalog, bundle_version
from kopf_sdk.bundle.catalog.render import Level, image_reference, package_icon, render_bundle
from kopf_sdk.bundle.catalog.templates import render_template
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.errors import SdkError

__all__ = ["CatalogOptions", "add_bundles", "catalog_from_template", "deprecate"]

_PREFIX = "operators.operatorframework.io.bundle"
_SCHEMAS = {"package": "olm.package", "channel": "olm.channel", "bundle": "olm.bundle"}


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """How bundles get into a catalog. `image` is a template of references, see `image_reference`."""

    image: str
    level: Level = "csv-metadata"
    channels: Sequence[str] = ()
    default_channel: str = ""


def add_bundles(catalog: Catalog, directories: Sequence[Path], options: CatalogOptions) -> list[Finding]:
    """Add bundles to a catalog, oldest first; return what is unsafe about the upgrades between them.

    Raises
    ------
    SdkError
        A bundle is in the catalog already, or has no place in its graph.
    """
    bundles = sorted((load_bundle(directory) for directory in directories), key=_version)
    by_name = {bundle.name: bundle for bundle in bundles}
    findings: list[Finding] = []
    for bundle in bundles:
        blob = render_bundle(bundle, image_reference(options.image, bundle), options.level)
        if catalog.bundle(bundle.package, bundle.name) is not None:
            raise SdkError(
                f"{bundle.directory}: {bundle.name} is in the catalog already", hint="Give the bundle a new version."
            )
        catalog.add(blob)
        replaced: set[str] = set()
        for channel in options.channels or _channels(bundle):
            replaced |= _enter(catalog, bundle, channel)
        _package(catalog, bundle, options)
        for name in sorted(replaced & by_name.keys()):
            findings.extend(unsafe_upgrades(by_name[name], bundle))
    return findings


def catalog_from_template(path: Path, options: CatalogOptions) -> Catalog:
    """Return the catalog of a template, whose `image` entries are bundle directories relative to it."""
    loaded: dict[str, Bundle] = {}

    def render(reference: str) -> Blob:
        directory = path.parent / reference
        if reference not in loaded:
            if not directory.is_dir():
                raise SdkError(
                    f"{path}: image: {reference} is no bundle directory",
                    hint="Give directories relative to the template.",
                )
            loaded[reference] = load_bundle(directory)
        bundle = loaded[reference]
        return render_bundle(bundle, image_reference(options.image, bundle), options.level)

    catalog = render_template(path, render)
    for bundle in sorted(loaded.values(), key=_version):
        package = catalog.package(bundle.package)
        icon = package_icon(bundle)
        if package is not None and icon is not None:
            package["icon"] = dict(icon)
    return catalog


def deprecate(catalog: Catalog, package: str, what: str, message: str) -> None:
    """Mark a package, a channel or a bundle as deprecated; `what` is `package`, `channel:NAME` or `bundle:NAME`."""
    kind, _, name = what.partition(":")
    if kind not in _SCHEMAS or bool(name) == (kind == "package"):
        raise SdkError(f"{what!r} cannot be deprecated", hint="Give package, channel:NAME or bundle:NAME.")
    reference = {"schema": _SCHEMAS[kind], **({"name": name} if name else {})}
    blob = next((b for b in catalog.deprecations if b.get("package") == package), None)
    if blob is None:
        blob = {"schema": "olm.deprecations", "package": package, "entries": []}
        catalog.add(blob)
    blob["entries"] = [entry for entry in blob["entries"] if entry.get("reference") != reference]
    blob["entries"].append({"reference": reference, "message": message})


def _version(bundle: Bundle) -> Any:
    from kopf_sdk.bundle.semver import Version  # noqa: PLC0415

    try:
        return Version.parse(str(bundle.spec.get("version")))
    except ValueError as error:
        raise SdkError(f"{bundle.directory}: spec.version: {error}") from error


def _channels(bundle: Bundle) -> list[str]:
    text = str(bundle.annotations.get(f"{_PREFIX}.channels.v1", ""))
    return [name.strip() for name in text.split(",") if name.strip()]


def _enter(catalog: Catalog, bundle: Bundle, name: str) -> set[str]:
    """Add a bundle to a channel; return the names it replaces or skips there.

    The CSV's replaces, skips and skipRange count; a CSV that says nothing replaces the present head.
    """
    channel = catalog.channel(bundle.package, name)
    if channel is None:
        channel = {"schema": "olm.channel", "name": name, "package": bundle.package, "entries": []}
        catalog.add(channel)
    entries: list[dict[str, Any]] = channel["entries"]
    entry: dict[str, Any] = {"name": bundle.name}
    replaces, skips = bundle.spec.get("replaces"), list(bundle.spec.get("skips") or ())
    skip_range = bundle.csv_annotations.get("olm.skipRange")
    if replaces is None and entries and not skips:
        replaces = _newest(catalog, bundle.package, heads(entries) or [str(entries[-1]["name"])])
    if replaces:
        entry["replaces"] = replaces
    if skips:
        entry["skips"] = skips
    if skip_range:
        entry["skipRange"] = skip_range
    entries.append(entry)
    return {str(replaces)} | set(skips)


def _newest(catalog: Catalog, package: str, names: Sequence[str]) -> str:
    known = [blob for name in names if (blob := catalog.bundle(package, name)) is not None]
    return str(max(known, key=bundle_version)["name"]) if known else names[-1]


def _package(catalog: Catalog, bundle: Bundle, options: CatalogOptions) -> None:
    blob = catalog.package(bundle.package)
    channels = [str(channel["name"]) for channel in catalog.channels_of(bundle.package)]
    default = options.default_channel or str(bundle.annotations.get(f"{_PREFIX}.channel.default.v1") or "")
    if default not in channels:
        default = str((blob or {}).get("defaultChannel") or channels[0])
    fields: dict[str, Any] = {"schema": "olm.package", "name": bundle.package, "defaultChannel": default}
    icon = package_icon(bundle)
    if icon is not None:
        fields["icon"] = dict(icon)
    summary = bundle.csv_annotations.get("description")
    if summary:
        fields["description"] = summary
    if blob is None:
        catalog.add(fields)
    else:
        blob.update(fields)
