"""Catalog templates: olm.semver and olm.template.basic (operator-registry `alpha/template`).

A bundle is named by a directory, relative to the template, or by an image that an earlier catalog knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.catalog.model import Blob, Catalog, bundle_version
from kopf_sdk.bundle.semver import Version
from kopf_sdk.errors import SdkError

__all__ = ["render_template"]

_ARCHETYPES = ("candidate", "fast", "stable")
_SEMVER_KEYS = frozenset(
    {
        "schema",
        "generateMajorChannels",
        "generateMinorChannels",
        "defaultChannelTypePreference",
        *map(str.capitalize, _ARCHETYPES),
        *_ARCHETYPES,
    }
)
RenderBundle = Callable[[str], Blob]


def render_template(path: Path, render: RenderBundle) -> Catalog:
    """Return the catalog that a template describes.

    Parameters
    ----------
    render
        Turns what stands under `image` into an olm.bundle blob.

    Raises
    ------
    SdkError
        The template is of another schema, or contradicts itself.
    """
    data = yaml.load_file(path)
    if not isinstance(data, Mapping):
        raise SdkError(f"{path}: a mapping is expected")
    schema = data.get("schema")
    if schema == "olm.semver":
        return _semver(data, render, str(path))
    if schema == "olm.template.basic":
        return _basic(data, render, str(path))
    raise SdkError(f"{path}: schema: {schema!r} is unknown", hint="Known: olm.semver, olm.template.basic.")


def _basic(data: Mapping[str, Any], render: RenderBundle, where: str) -> Catalog:
    catalog = Catalog()
    for number, entry in enumerate(data.get("entries") or ()):
        if not isinstance(entry, Mapping) or not entry.get("schema"):
            raise SdkError(f"{where}: entries[{number}].schema: missing")
        bare = entry["schema"] == "olm.bundle" and not entry.get("properties")
        catalog.add(render(str(entry.get("image"))) if bare else dict(entry))
    return catalog


def _semver(data: Mapping[str, Any], render: RenderBundle, where: str) -> Catalog:
    unknown = sorted(set(data) - _SEMVER_KEYS)
    if unknown:
        raise SdkError(f"{where}: {unknown[0]}: unknown key", hint=f"Known keys: {', '.join(sorted(_SEMVER_KEYS))}.")
    major, minor = bool(data.get("generateMajorChannels")), bool(data.get("generateMinorChannels"))
    minor = minor or not major
    preference = data.get("defaultChannelTypePreference") or ("minor" if minor else "major")
    if preference not in {"major", "minor"} or not {"major": major, "minor": minor}[preference]:
        raise SdkError(f"{where}: defaultChannelTypePreference: {preference} channels are not generated")
    catalog = Catalog()
    members = {kind: _members(data, kind, render, catalog, where) for kind in _ARCHETYPES}
    packages = {str(bundle["package"]) for bundle in catalog.bundles}
    if len(packages) != 1:
        raise SdkError(
            f"{where}: bundles of {len(packages)} packages ({', '.join(sorted(packages)) or 'none'}) instead of one"
        )
    package = packages.pop()
    ranked: list[tuple[int, Version, bool, str]] = []
    linked: dict[str, list[Blob]] = {}
    for rank, kind in enumerate(_ARCHETYPES):
        versions = members[kind]
        for wanted, stream in ((major, "major"), (minor, "minor")):
            channels: dict[str, list[str]] = {}
            for name, version in sorted(versions.items(), key=lambda item: item[1]) if wanted else ():
                channel = f"{kind}-v{version.major}" + (f".{version.minor}" if stream == "minor" else "")
                if channel not in channels:
                    ranked.append((rank, version, stream == preference, channel))
                channels.setdefault(channel, []).append(name)
            linked.update(_link(channels, list(versions) if wanted else [], versions))
    catalog.add({"schema": "olm.package", "name": package, "defaultChannel": max(ranked)[3]})
    for channel in sorted(linked):
        catalog.add({"schema": "olm.channel", "package": package, "name": channel, "entries": linked[channel]})
    return catalog


def _members(
    data: Mapping[str, Any], kind: str, render: RenderBundle, catalog: Catalog, where: str
) -> dict[str, Version]:
    section = data.get(kind.capitalize()) or data.get(kind) or {}
    found: dict[str, Version] = {}
    for number, entry in enumerate(section.get("bundles") or ()):
        blob = render(str(entry.get("image")))
        name, version = str(blob["name"]), bundle_version(blob)
        place = f"{where}: {kind}.bundles[{number}]"
        if name in found:
            raise SdkError(f"{place}: {name} is listed twice")
        if version in found.values():
            raise SdkError(
                f"{place}: two bundles of version {version}, which differ by build metadata at most, cannot be ordered"
            )
        found[name] = version
        if catalog.bundle(str(blob["package"]), name) is None:
            catalog.add(blob)
    return found


def _link(
    channels: Mapping[str, list[str]], names: Sequence[str], versions: Mapping[str, Version]
) -> dict[str, list[Blob]]:
    """Return the entries of channels of one kind and stability.

    Within a major version, the last of each minor version replaces the last of the minor version before it and skips
    everything older; so it is even where the channels are per minor version (operator-registry v1.61).
    """
    entries: dict[str, list[Blob]] = {
        channel: [{"name": name} for name in members] for channel, members in channels.items()
    }
    by_name = {entry["name"]: entry for listed in entries.values() for entry in listed}
    ordered = sorted(names, key=lambda name: versions[name])
    previous, older = "", list[str]()
    for number, name in enumerate(ordered):
        version = versions[name]
        following = versions[ordered[number + 1]] if number + 1 < len(ordered) else None
        last_of_major = following is None or following.major != version.major
        if last_of_major or (following is not None and following.minor != version.minor):
            if previous:
                by_name[name]["replaces"] = previous
            skips = sorted(set(older) - {previous})
            if skips:
                by_name[name]["skips"] = skips
            previous = name
        older.append(name)
        if last_of_major:
            previous, older = "", []
    return entries
