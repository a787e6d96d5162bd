"""What people read about the operator: Chart.yaml, its Artifact Hub annotations, bundle.yaml, each over the last.

Artifact Hub: https://artifacthub.io/docs/topics/annotations/helm/
"""

from __future__ import annotations

import base64
import datetime
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.semver import Version, minimum_of_constraint
from kopf_sdk.errors import SdkError

__all__ = ["CAPABILITIES", "CATEGORIES", "Metadata", "gather_metadata"]

CAPABILITIES = ("Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot")
CATEGORIES = (
    "AI/Machine Learning",
    "Application Runtime",
    "Big Data",
    "Cloud Provider",
    "Developer Tools",
    "Database",
    "Integration & Delivery",
    "Logging & Tracing",
    "Monitoring",
    "Modernization & Migration",
    "Networking",
    "OpenShift Optional",
    "Security",
    "Storage",
    "Streaming & Messaging",
    "Observability",
)
_HUB_CATEGORIES = {
    "ai-machine-learning": "AI/Machine Learning",
    "database": "Database",
    "integration-delivery": "Integration & Delivery",
    "monitoring-logging": "Monitoring",
    "networking": "Networking",
    "security": "Security",
    "storage": "Storage",
    "streaming-messaging": "Streaming & Messaging",
}
_ICON_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
}
_ICON_STARTS = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8", "image/gif": b"GIF8"}
_FORGE = re.compile(r"https?://(?:github|gitlab|codeberg|bitbucket)\.")
_LABEL_LIMIT = 63
_DNS_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The merged result, in the CSV's terms. Empty fields were said nowhere."""

    package: str
    version: Version
    channels: tuple[str, ...]
    default_channel: str
    display_name: str
    summary: str
    description: str
    icon: Mapping[str, str] | None
    keywords: tuple[str, ...]
    maintainers: tuple[Mapping[str, str], ...]
    provider: Mapping[str, str]
    links: tuple[Mapping[str, str], ...]
    categories: tuple[str, ...]
    capabilities: str
    maturity: str
    min_kube_version: str
    repository: str
    support: str
    created_at: str
    hub_images: Mapping[str, str] = field(default_factory=dict)
    hub_crds: tuple[Mapping[str, Any], ...] = ()
    hub_examples: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def csv_name(self) -> str:
        return f"{self.package}.v{self.version}"


def gather_metadata(chart: Chart, config: Config, *, default_package: str = "") -> Metadata:
    """Return the merged metadata.

    Raises
    ------
    SdkError
        The package or version is missing or no legal name, or a file that bundle.yaml names is not there.
    """
    hub = _Hub(chart)
    notices: list[Notice] = []
    package = config.package or chart.text("name") or default_package
    if not package:
        raise SdkError("the package has no name", hint="Give --package, or --chart-metadata Chart.yaml.")
    version = _version(config.version or chart.text("version"))
    name = f"{package}.v{version}"
    if len(name) > _LABEL_LIMIT or not _DNS_NAME.match(name):
        raise SdkError(
            f"{name}: no legal name for a ClusterServiceVersion (a DNS name of at most {_LABEL_LIMIT} characters)",
            hint="Choose another --package, or a --version without build metadata (+…) and capital letters.",
        )
    channels = tuple(config.channels) or (("candidate" if version.pre or version.major == 0 else "stable"),)
    default_channel = config.default_channel or channels[0]
    if default_channel not in channels:
        raise SdkError(
            f"default channel {default_channel} is none of the channels {', '.join(channels)}",
            hint="Add it with --channels.",
        )
    maintainers = _maintainers(chart, config, hub, notices)
    links = _links(chart, config, hub)
    provider = _provider(chart, config, maintainers)
    if not provider.get("name"):
        provider["name"] = _title(package)
        message = f"the chart names nobody as its provider; it is called {provider['name']}"
        notices.append(Notice(Level.INFO, "provider", message, None, "Set provider in bundle.yaml."))
    repository = config.repository or _repository(chart)
    return Metadata(
        package=package,
        version=version,
        channels=channels,
        default_channel=default_channel,
        display_name=config.display_name or _title(package),
        summary=config.summary or chart.text("description"),
        description=_description(chart, config),
        icon=_icon(chart, config, notices),
        keywords=tuple(config.keywords if config.keywords is not None else chart.metadata.get("keywords") or ()),
        maintainers=maintainers,
        provider=provider,
        links=links,
        categories=tuple(config.categories if config.categories is not None else hub.categories),
        capabilities=config.capabilities or hub.capabilities or "Basic Install",
        maturity=config.maturity or ("alpha" if hub.prerelease or version.major == 0 or version.pre else "stable"),
        min_kube_version=_min_kube_version(chart, config),
        repository=repository,
        support=config.support or provider.get("name", ""),
        created_at=_created_at(config),
        hub_images=hub.images,
        hub_crds=hub.crds,
        hub_examples=hub.examples,
        notices=tuple(notices),
    )


class _Hub:
    """The artifacthub.io annotations of a chart."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self.categories = tuple(filter(None, [_HUB_CATEGORIES.get(self._text("category"))]))
        wanted = self._text("operatorCapabilities").lower()
        self.capabilities = next((level for level in CAPABILITIES if level.lower() == wanted), "")
        self.prerelease = self._text("prerelease").lower() in {"true", "yes"}
        self.links = self._list("links")
        self.maintainers = self._list("maintainers")
        self.crds = self._list("crds")
        self.examples = self._list("crdsExamples")
        self.images = {
            str(image["name"]): str(image["image"])
            for image in self._list("images")
            if image.get("name") and image.get("image")
        }

    def _text(self, key: str) -> str:
        return str(self._chart.annotations.get(f"artifacthub.io/{key}", "")).strip()

    def _list(self, key: str) -> tuple[Mapping[str, Any], ...]:
        where = f"{self._chart.origin}: annotations.artifacthub.io/{key}"
        value = yaml.load(self._text(key) or "[]", source=where)
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            raise SdkError(f"{where}: a list of mappings, written as YAML text, is expected")
        return tuple(value)


def _version(text: str) -> Version:
    if not text:
        raise SdkError("the bundle has no version", hint="Give --version, or --chart-metadata Chart.yaml.")
    try:
        return Version.parse(text.removeprefix("v"))
    except ValueError as error:
        raise SdkError(f"version: {error}", hint="Give a semantic version with --version.") from error


def _title(package: str) -> str:
    words = re.split(r"[-_.]+", package)
    return " ".join(word[:1].upper() + word[1:] for word in words if word)


def _description(chart: Chart, config: Config) -> str:
    if config.description is not None:
        return config.description
    if config.description_file is not None:
        path = config.path(config.description_file)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SdkError(f"{path}: descriptionFile: {error}") from error
    return chart.readme or chart.text("description")


def _icon(chart: Chart, config: Config, notices: list[Notice]) -> Mapping[str, str] | None:
    if config.icon is not None:
        path = config.path(config.icon)
        try:
            return _encoded(path.name, path.read_bytes(), str(path))
        except OSError as error:
            raise SdkError(f"{path}: icon: {error.strerror}") from error
    reference = chart.text("icon")
    if not reference:
        return None
    local = PurePosixPath(reference.removeprefix("file://").removeprefix("./").lstrip("/")).as_posix()
    if local in chart.files:
        return _encoded(local, chart.files[local], f"{chart.origin}/{local}")
    message = f"the chart's icon {reference} is not in the chart and is not downloaded"
    notices.append(
        Notice(Level.INFO, "icon", message, None, "Save it beside bundle.yaml and name it there: icon: logo.svg")
    )
    return None


def _encoded(name: str, content: bytes, where: str) -> Mapping[str, str]:
    media_type = _ICON_TYPES.get(PurePosixPath(name).suffix.lower())
    if media_type is None:
        raise SdkError(f"{where}: an icon is an SVG, PNG, JPEG or GIF file")
    start = _ICON_STARTS.get(media_type)
    if (start and not content.startswith(start)) or (start is None and b"<svg" not in content[:4096]):
        raise SdkError(f"{where}: the content is no {media_type}", hint="Give the file the suffix of what it is.")
    return {"base64data": base64.b64encode(content).decode(), "mediatype": media_type}


def _maintainers(chart: Chart, config: Config, hub: _Hub, notices: list[Notice]) -> tuple[Mapping[str, str], ...]:
    if config.maintainers is not None:
        return tuple({"email": item.email, "name": item.name} for item in config.maintainers)
    source = hub.maintainers or tuple(chart.metadata.get("maintainers") or ())
    complete = tuple(
        {"email": str(m["email"]), "name": str(m["name"])} for m in source if m.get("name") and m.get("email")
    )
    missing = [
        str(item.get("name") or item.get("email")) for item in source if not (item.get("name") and item.get("email"))
    ]
    if missing:
        message = f"left out of the maintainers, for want of a name or an e-mail address: {', '.join(missing)}"
        notices.append(Notice(Level.INFO, "maintainers", message, None, "List them under maintainers in bundle.yaml."))
    return complete


def _links(chart: Chart, config: Config, hub: _Hub) -> tuple[Mapping[str, str], ...]:
    if config.links is not None:
        return tuple({"name": link.name, "url": link.url} for link in config.links)
    links = [
        {"name": str(link["name"]), "url": str(link["url"])}
        for link in hub.links
        if link.get("name") and link.get("url")
    ]
    known = {link["url"] for link in links}
    home = chart.text("home")
    candidates = [("Home page", home), *(("Source code", str(url)) for url in chart.metadata.get("sources") or ())]
    for name, url in candidates:
        if url and url not in known:
            known.add(url)
            links.append({"name": name, "url": url})
    return tuple(links)


def _provider(chart: Chart, config: Config, maintainers: tuple[Mapping[str, str], ...]) -> dict[str, str]:
    if config.provider is not None:
        return {key: value for key, value in (("name", config.provider.name), ("url", config.provider.url)) if value}
    listed = chart.metadata.get("maintainers") or ()
    name = maintainers[0]["name"] if maintainers else str(listed[0].get("name", "")) if listed else ""
    home = chart.text("home")
    name = name or _site(home)
    return {key: value for key, value in (("name", name), ("url", home)) if value}


def _site(url: str) -> str:
    """Return whose site an address is: its host, or the organisation on a forge."""
    parts = urlsplit(url)
    owner = parts.path.strip("/").partition("/")[0]
    return owner if owner and _FORGE.match(url) else (parts.hostname or "").removeprefix("www.")


def _repository(chart: Chart) -> str:
    candidates = [*(str(url) for url in chart.metadata.get("sources") or ()), chart.text("home")]
    return next(
        (url for url in candidates if _FORGE.match(url)),
        candidates[0] if candidates else "",
    )


def _min_kube_version(chart: Chart, config: Config) -> str:
    if config.min_kube_version is not None:
        try:
            return str(Version.tolerant(config.min_kube_version))
        except ValueError as error:
            raise SdkError(f"minKubeVersion: {error}") from error
    return minimum_of_constraint(chart.text("kubeVersion"))


def _created_at(config: Config) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch:
        try:
            moment = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise SdkError(f"SOURCE_DATE_EPOCH: {epoch!r} is no number of seconds since 1970") from error
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return config.created_at or ""
