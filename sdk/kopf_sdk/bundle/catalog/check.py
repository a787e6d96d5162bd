"""A catalog checked: what `opm validate` checks (operator-registry `alpha/declcfg`, `alpha/model`), and more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kopf_sdk.bundle.catalog.graph import channel_problems, range_problem
from kopf_sdk.bundle.catalog.model import Blob, Catalog, bundle_version
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding

__all__ = ["check_catalog"]


def check_catalog(catalog: Catalog) -> list[Finding]:
    """Return the findings on a catalog; the errors are those for which `opm validate` fails."""
    findings: list[Finding] = []
    for package in catalog.package_names():
        findings.extend(_package(catalog, package))
        for channel in catalog.channels_of(package):
            findings.extend(_channel(catalog, package, channel))
        findings.extend(_bundles(catalog, package))
        findings.extend(_deprecations(catalog, package))
    return findings


def _error(rule: str, where: str, message: str, hint: str = "") -> Finding:
    return Finding(Level.ERROR, rule, where, message, hint, message, "catalog")


def _warning(rule: str, where: str, message: str, hint: str = "") -> Finding:
    return Finding(Level.WARNING, rule, where, message, hint, "", "catalog")


def _package(catalog: Catalog, name: str) -> Iterator[Finding]:
    where = f"package {name}"
    blobs = [blob for blob in catalog.packages if blob.get("name") == name]
    if not name or name == "None":
        yield _error("catalog/package", "olm.package", "package name must not be empty")
    if len(blobs) != 1:
        problem = "unknown package" if not blobs else f"duplicate package {name!r}"
        yield _error("catalog/package", where, f"{problem}: there are {len(blobs)} olm.package blobs for it")
        return
    channels = {str(channel.get("name")) for channel in catalog.channels_of(name)}
    default = blobs[0].get("defaultChannel")
    if not channels:
        yield _error("catalog/channels", where, "package must contain at least one channel")
    if not default:
        yield _error("catalog/default-channel", f"{where}: defaultChannel", "default channel must be set")
    elif default not in channels:
        yield _error(
            "catalog/default-channel",
            f"{where}: defaultChannel",
            f"default channel {default!r} not found in channels list",
        )


def _channel(catalog: Catalog, package: str, channel: Blob) -> Iterator[Finding]:
    name = channel.get("name")
    where = f"package {package}, channel {name}"
    entries = channel.get("entries") or []
    if not name:
        yield _error("catalog/channel-name", where, "channel name must not be empty")
    count = Counter(entry.get("name") for entry in entries)
    for entry, number in count.items():
        if number > 1:
            yield _error("catalog/entry-duplicate", where, f"duplicate entry {entry!r}")
        if catalog.bundle(package, str(entry)) is None:
            yield _error(
                "catalog/entry-bundle",
                where,
                f"no olm.bundle blobs found in package {package!r} for olm.channel entries [{entry}]",
            )
    for problem in channel_problems(entries):
        yield _error("catalog/graph", where, problem, "Look at it: kopf-sdk catalog graph")
    for entry in entries:
        label = f"{where}, entry {entry.get('name')}"
        text = str(entry.get("skipRange") or "")
        problem = range_problem(text) if text else ""
        if problem:
            yield _error("catalog/skip-range", f"{label}: skipRange", problem)
        for skip in entry.get("skips") or ():
            if not skip:
                yield _error("catalog/skips", f"{label}: skips", "is empty")
        if text and not entry.get("replaces") and len(entries) > 1:
            message = "skipRange without replaces prunes the older versions: nobody can install them from this channel"
            yield _warning("catalog/pruned-graph", label, message, "Add replaces.")
        known = {e.get("name") for e in entries}
        if entry.get("replaces") and entry["replaces"] not in known and len(entries) > 1:
            message = f"replaces {entry['replaces']}, which is not in the channel; only the tail may do that"
            if any(e.get("replaces") == entry["name"] for e in entries) is False:
                yield _warning("catalog/replaces-missing", label, message)


def _bundles(catalog: Catalog, package: str) -> Iterator[Finding]:
    used = {entry.get("name") for channel in catalog.channels_of(package) for entry in channel.get("entries") or ()}
    versions: dict[str, list[str]] = {}
    for bundle in (blob for blob in catalog.bundles if blob.get("package") == package):
        name = str(bundle.get("name"))
        where = f"package {package}, bundle {name}"
        kinds = Counter(item.get("type") for item in bundle.get("properties") or ())
        if kinds["olm.package"] != 1:
            yield _error("catalog/package-property", where, 'must be exactly one property with type "olm.package"')
        else:
            try:
                versions.setdefault(str(bundle_version(bundle)), []).append(name)
            except ValueError as error:
                yield _error("catalog/version", where, str(error))
        if not bundle.get("image") and not kinds["olm.bundle.object"]:
            yield _error("catalog/image", where, "bundle image must be set")
        if name not in used:
            yield _error("catalog/bundle-unused", where, f"bundle {name!r} is in no channel")
        for image in bundle.get("relatedImages") or ():
            if not image.get("image"):
                yield _warning("catalog/related-image", where, f"related image {image.get('name')!r} has no reference")
    for version, names in sorted(versions.items()):
        if len(set(names)) > 1:
            yield _error(
                "catalog/version-duplicate",
                f"package {package}",
                f"duplicate versions found in bundles: {{{version}: [{', '.join(sorted(names))}]}}",
            )
        elif len(names) > 1:
            yield _error("catalog/bundle-duplicate", f"package {package}", f"duplicate bundle {names[0]!r}")


def _deprecations(catalog: Catalog, package: str) -> Iterator[Finding]:
    blobs = [blob for blob in catalog.deprecations if blob.get("package") == package]
    where = f"package {package}, deprecations"
    if len(blobs) > 1:
        yield _error("catalog/deprecations", where, f"expected a maximum of one deprecation per package: {package!r}")
    for entry in (entry for blob in blobs for entry in blob.get("entries") or ()):
        reference = entry.get("reference") or {}
        schema, name = reference.get("schema"), reference.get("name")
        if not entry.get("message"):
            yield _error("catalog/deprecation-message", where, f"message must be set ({schema} {name or package})")
        known = {
            "olm.bundle": catalog.bundle(package, str(name)) is not None,
            "olm.channel": catalog.channel(package, str(name)) is not None,
            "olm.package": not name or name == package,
        }
        if not known.get(str(schema), False):
            yield _error(
                "catalog/deprecation-reference",
                where,
                f"cannot deprecate {schema} {name!r}: there is none in package {package!r}",
            )
