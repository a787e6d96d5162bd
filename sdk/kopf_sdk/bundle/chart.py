"""What a Helm chart says about itself: Chart.yaml, README, icon, values.

Read from a directory, an archive or one file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError

__all__ = ["Chart", "chart_from_metadata", "read_chart"]

_WANTED = frozenset({"Chart.yaml", "README.md", "values.yaml"})
_IMAGE_SUFFIXES = frozenset({".svg", ".png", ".jpg", ".jpeg", ".gif"})
_SAMPLE_FOLDERS = frozenset({"samples", "examples"})
_LIMIT = 4 << 20


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart's metadata and the few files of it that a bundle needs. `files` are by path inside of the chart."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    origin: str = ""

    def text(self, key: str) -> str:
        """Return a text field of Chart.yaml, "" when absent."""
        value = self.metadata.get(key)
        return "" if value is None else str(value)

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def readme(self) -> str:
        return self.files.get("README.md", b"").decode("utf-8", "replace")

    @property
    def values(self) -> Mapping[str, Any]:
        raw = self.files.get("values.yaml")
        values = yaml.load(raw.decode("utf-8", "replace"), source=f"{self.origin}: values.yaml") if raw else None
        return values if isinstance(values, Mapping) else {}

    @property
    def samples(self) -> dict[str, str]:
        """Return the YAML files below samples/ and examples/, by path."""
        return {
            path: content.decode("utf-8", "replace")
            for path, content in sorted(self.files.items())
            if PurePosixPath(path).parts[0] in _SAMPLE_FOLDERS and path.endswith((".yaml", ".yml"))
        }

    def template(self, source: str) -> str:
        """Return the text of the template that Helm names as a source, "" when it is not at hand."""
        path = Path(self.origin)
        try:
            if path.is_dir():
                return path.joinpath(*PurePosixPath(source).parts[1:]).read_text(encoding="utf-8")
            return _archived(path, source).decode("utf-8") if path.is_file() else ""
        except (OSError, UnicodeDecodeError, SdkError):
            return ""


def chart_from_metadata(path: Path | None) -> Chart:
    """Return a chart of which only Chart.yaml is at hand (the rendering came on standard input)."""
    if path is None:
        return Chart()
    return Chart(_metadata(yaml.load_file(path), str(path)), {}, str(path))


def read_chart(path: Path) -> Chart:
    """Return the chart in a directory or a .tgz.

    Raises
    ------
    SdkError
        There is no chart, or its Chart.yaml has no name or version.
    """
    if path.is_dir():
        files = {relative: file.read_bytes() for relative, file in _directory_files(path)}
    elif path.is_file():
        files = _archive_files(path)
    else:
        raise SdkError(
            f"{path}: no such chart",
            hint="Give a chart directory, a .tgz, an oci:// reference, or - for manifests on stdin.",
        )
    raw = files.get("Chart.yaml")
    if raw is None:
        raise SdkError(
            f"{path}: holds no Chart.yaml, so it is no Helm chart",
            hint="Give the directory that has the Chart.yaml in it.",
        )
    return Chart(
        _metadata(yaml.load(raw.decode("utf-8"), source=f"{path}/Chart.yaml"), f"{path}/Chart.yaml"), files, str(path)
    )


def _metadata(data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise SdkError(f"{where}: a mapping is expected")
    for key in ("name", "version"):
        if not data.get(key):
            raise SdkError(f"{where}: {key}: missing", hint="Helm requires name and version in Chart.yaml.")
    for key in ("keywords", "sources", "maintainers"):
        if data.get(key) is not None and not isinstance(data[key], list):
            raise SdkError(f"{where}: {key}: a list is expected")
    for key, value in (data.get("annotations") or {}).items():
        if not isinstance(value, str):
            raise SdkError(f"{where}: annotations.{key}: text is expected", hint="Quote the value.")
    return data


def _wanted(relative: str) -> bool:
    path = PurePosixPath(relative)
    if relative in _WANTED or (len(path.parts) <= 2 and path.suffix.lower() in _IMAGE_SUFFIXES):
        return True
    return path.parts[0] in _SAMPLE_FOLDERS and path.suffix in {".yaml", ".yml"}


def _directory_files(path: Path) -> list[tuple[str, Path]]:
    found = [
        (file.relative_to(path).as_posix(), file) for pattern in ("*", "*/*", "*/*/*") for file in path.glob(pattern)
    ]
    return [
        (name, file)
        for name, file in sorted(found)
        if _wanted(name) and file.is_file() and file.stat().st_size <= _LIMIT
    ]


def _archive_files(path: Path) -> dict[str, bytes]:
    return dict(_members(path, _wanted))


def _archived(path: Path, source: str) -> bytes:
    relative = source.partition("/")[2]
    return next((content for _, content in _members(path, relative.__eq__)), b"")


def _members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted files of an archive by their path inside of the chart."""
    import tarfile  # noqa: PLC0415  # only archives need it

    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                _, _, relative = member.name.removeprefix("./").partition("/")
                if relative and member.isfile() and member.size <= _LIMIT and wanted(relative):
                    content = archive.extractfile(member)
                    yield relative, content.read() if content else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SdkError(f"{path}: not a chart archive: {error}", hint="`helm package` makes one.") from error
