"""From a chart, or a rendering, to a converted bundle: the steps that read files and run Helm."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kopf_sdk.bundle.chance import random_content
from kopf_sdk.bundle.chart import Chart, chart_from_metadata
from kopf_sdk.bundle.config import Config, load_config
from kopf_sdk.bundle.convert import Conversion, convert
from kopf_sdk.bundle.examples import sample_files
from kopf_sdk.bundle.guards import with_values
from kopf_sdk.bundle.install_modes import WATCH_TOKEN
from kopf_sdk.bundle.lock import DEFAULT_LOCK, load_lock
from kopf_sdk.bundle.metadata import gather_metadata
from kopf_sdk.bundle.objects import parse_stream
from kopf_sdk.bundle.profile import Profile
from kopf_sdk.errors import SdkError

__all__ = ["DEFAULT_CONFIG", "BuildRequest", "Built", "build", "build_with_chart", "find_config"]

DEFAULT_CONFIG = "bundle.yaml"


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What the command line says. `chart` is a path, an oci:// reference, or `-` for manifests on standard input."""

    chart: str
    profile: Profile
    config: Path | None = None
    chart_metadata: Path | None = None
    value_files: Sequence[Path] = ()
    sets: Sequence[str] = ()
    version: str = ""
    package: str = ""
    channels: Sequence[str] = ()
    default_channel: str = ""
    kube_version: str = ""
    api_versions: Sequence[str] = ()
    namespace: str = ""


@dataclass(slots=True, eq=False, repr=False)
class _Source:
    text: str
    chart: Chart
    namespace: str = ""
    origin: str = field(default="the rendering")


@dataclass(frozen=True, slots=True)
class Built:
    """A conversion together with the chart it came from."""

    conversion: Conversion
    chart: Chart


def build(request: BuildRequest, *, pin: bool = True) -> Conversion:
    """Return the bundle for a request, in memory; `pin`: to digests, where bundle.yaml says so. Raises SdkError."""
    return build_with_chart(request, pin=pin).conversion


def build_with_chart(request: BuildRequest, *, pin: bool = True) -> Built:
    """Return the bundle for a request and the chart that was read for it; raises SdkError for bad input."""
    config = load_config(find_config(request))
    _override(config, request)
    source = _standard_input(request, config) if request.chart == "-" else _render(request, config)
    objects = parse_stream(source.text, source=source.origin)
    if not objects:
        raise SdkError(f"{source.origin} holds no object", hint="Is everything switched off by values?")
    lock = load_lock(config.path(config.images.lock or DEFAULT_LOCK)) if pin and config.images.pin else None
    conversion = convert(
        objects,
        chart=source.chart,
        config=config,
        metadata=gather_metadata(source.chart, config),
        profile=request.profile,
        namespace=source.namespace,
        samples=sample_files(config),
        lock=lock,
    )
    conversion.fates = [with_values(fate, source.chart) for fate in conversion.fates]
    conversion.notices += random_content(conversion.fates, source.chart)
    return Built(conversion, source.chart)


def find_config(request: BuildRequest) -> Path | None:
    """Return the configuration to use: the given one, else bundle.yaml in or beside a chart directory.

    A file of that name with Kubernetes objects in it is a project's own: all of its manifests in one.
    """
    if request.config is not None:
        return request.config
    chart = Path(request.chart)
    candidates = [chart / DEFAULT_CONFIG, chart.parent / DEFAULT_CONFIG] if chart.is_dir() else []
    return next((path for path in candidates if path.is_file() and not _holds_objects(path)), None)


def _holds_objects(path: Path) -> bool:
    return re.search(rb"^kind:", path.read_bytes(), re.MULTILINE) is not None


def _override(config: Config, request: BuildRequest) -> None:
    for name in ("version", "package", "default_channel", "kube_version"):
        value = getattr(request, name)
        if value:
            setattr(config, name, value)
    if request.channels:
        config.channels = list(request.channels)
        if config.default_channel not in config.channels:
            config.default_channel = request.default_channel or None
    config.api_versions = [*config.api_versions, *request.api_versions]


def _standard_input(request: BuildRequest, config: Config) -> _Source:
    if request.value_files or request.sets or config.values:
        raise SdkError(
            "values are of no use for manifests that are already rendered",
            hint="Give the chart instead of -, or leave values away.",
        )
    if sys.stdin.isatty():
        raise SdkError(
            "standard input is a terminal", hint="Pipe manifests into it: helm template … | kopf-sdk bundle build -"
        )
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise SdkError(f"standard input is not UTF-8 text (byte {error.start})") from error
    return _Source(text, chart_from_metadata(request.chart_metadata), request.namespace, "standard input")


def _render(request: BuildRequest, config: Config) -> _Source:
    import tempfile  # noqa: PLC0415  # rendered manifests on standard input need neither this nor Helm

    from kopf_sdk.bundle.render import (  # noqa: PLC0415
        DEFAULT_KUBE_VERSION,
        INSTALL_NAMESPACE,
        RenderOptions,
        fetch_chart,
        render,
    )

    with tempfile.TemporaryDirectory(prefix="kopf-sdk-") as folder:
        path, chart = fetch_chart(request.chart, Path(folder))
        namespace = request.namespace or config.namespace or INSTALL_NAMESPACE
        watch = config.watch_namespace.value if config.watch_namespace else None
        options = RenderOptions(
            release=config.release_name or chart.text("name")[:53].rstrip("-"),
            namespace=namespace,
            kube_version=config.kube_version or DEFAULT_KUBE_VERSION,
            api_versions=config.api_versions,
            values=config.values,
            value_files=request.value_files,
            sets=[*request.sets, *([f"{watch}={WATCH_TOKEN}"] if watch else [])],
        )
        return _Source(render(path, options), chart, namespace, f"helm template {path.name}")
