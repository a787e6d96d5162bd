"""A bundle directory in memory: its CSV, CRDs and other manifests, annotations and dependencies, each with its path."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError

__all__ = ["SIZE_LIMIT", "SIZE_WARNING", "SPEC_FIELDS", "Bundle", "Manifest", "bundle_from_files", "load_bundle"]

# OLM's limit for the packed manifests, and the share of it at which upstream's validator warns.
SIZE_LIMIT = 1 << 20
SIZE_WARNING = int(SIZE_LIMIT * 0.85)
SPEC_FIELDS = {
    name.lower(): name
    for name in (
        "displayName",
        "minKubeVersion",
        "installModes",
        "relatedImages",
        "customresourcedefinitions",
        "apiservicedefinitions",
        "webhookdefinitions",
        "nativeAPIs",
        "replaces",
        "version",
        "description",
        "keywords",
        "maintainers",
        "provider",
        "links",
        "icon",
        "install",
        "maturity",
        "skips",
        "labels",
        "annotations",
        "selector",
        "cleanup",
        "release",
    )
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One file of manifests/."""

    path: str
    data: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", ""))

    @property
    def name(self) -> str:
        return str((self.data.get("metadata") or {}).get("name", ""))

    @property
    def api_version(self) -> str:
        return str(self.data.get("apiVersion", ""))


@dataclass(slots=True, eq=False, repr=False)
class Bundle:
    """The parsed content. `problems` are files that could not be read as what they should be."""

    directory: str
    manifests: list[Manifest] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def csv_manifest(self) -> Manifest | None:
        return next((m for m in self.manifests if m.kind == "ClusterServiceVersion"), None)

    @property
    def csv(self) -> Mapping[str, Any]:
        found = self.csv_manifest
        return found.data if found else {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The CSV's spec as Go's decoder reads it: without regard to the case of field names."""
        spec = self.csv.get("spec")
        if not isinstance(spec, Mapping):
            return {}
        return {**{SPEC_FIELDS.get(key.lower(), key): value for key, value in spec.items()}, **spec}

    @property
    def strategy(self) -> Mapping[str, Any]:
        return (self.spec.get("install") or {}).get("spec") or {}

    @property
    def name(self) -> str:
        found = self.csv_manifest
        return found.name if found else ""

    @property
    def csv_annotations(self) -> Mapping[str, str]:
        return (self.csv.get("metadata") or {}).get("annotations") or {}

    @property
    def crds(self) -> list[Manifest]:
        return [m for m in self.manifests if m.kind == "CustomResourceDefinition"]

    @property
    def owned(self) -> Sequence[Mapping[str, Any]]:
        return (self.spec.get("customresourcedefinitions") or {}).get("owned") or ()

    @property
    def deployments(self) -> Sequence[Mapping[str, Any]]:
        return self.strategy.get("deployments") or ()

    @property
    def webhooks(self) -> Sequence[Mapping[str, Any]]:
        return self.spec.get("webhookdefinitions") or ()

    @property
    def annotations(self) -> Mapping[str, str]:
        """The annotations of metadata/: of the first file that has any, as operator-registry does it."""
        for path in sorted(self.metadata):
            data = self.metadata[path]
            if isinstance(data, Mapping) and isinstance(data.get("annotations"), Mapping):
                return dict(data["annotations"])
        return {}

    @property
    def dependencies(self) -> Sequence[Mapping[str, Any]]:
        for path in sorted(self.metadata):
            data = self.metadata[path]
            if isinstance(data, Mapping) and data.get("dependencies"):
                return list(data["dependencies"])
        return ()

    @property
    def properties(self) -> Sequence[Mapping[str, Any]]:
        data = self.metadata.get("metadata/properties.yaml")
        return (data or {}).get("properties") or ()

    @property
    def package(self) -> str:
        return str(self.annotations.get("operators.operatorframework.io.bundle.package.v1", ""))

    def size(self) -> tuple[int, int]:
        """Return the plain and the packed size of manifests/ in bytes; OLM limits the packed one to 1 MiB."""
        contents = [content for path, content in self.files.items() if path.startswith("manifests/")]
        packed = 0
        for content in contents:
            compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
            packed += len(base64.b64encode(compressor.compress(content) + compressor.flush()))
        return sum(map(len, contents)), packed


def load_bundle(directory: Path) -> Bundle:
    """Return the bundle in a directory; raises SdkError when there is none at all."""
    if not directory.is_dir():
        raise SdkError(
            f"{directory}: no such directory", hint="Give the directory that has manifests/ and metadata/ in it."
        )
    files = {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.relative_to(directory).parts[0] in {"manifests", "metadata", "tests"}
    }
    if not files:
        raise SdkError(f"{directory}: holds neither manifests/ nor metadata/", hint="Give the bundle's directory.")
    return bundle_from_files(str(directory), files)


def bundle_from_files(directory: str, files: Mapping[str, bytes]) -> Bundle:
    """Return the bundle that these files (path inside of it → content) make."""
    bundle = Bundle(directory, files=files)
    for path, content in files.items():
        folder = path.split("/")[0]
        if folder not in {"manifests", "metadata"}:
            continue
        try:
            text = content.decode("utf-8")
            if folder == "metadata":
                bundle.metadata[path] = yaml.load(text, source=path)
                continue
            documents = [d for d in yaml.load_all(text, source=path) if d is not None]
        except (SdkError, UnicodeDecodeError) as error:
            bundle.problems.append((path, str(error)))
            continue
        if len(documents) > 1:
            bundle.problems.append((path, f"holds {len(documents)} documents; OLM reads only the first"))
        if not documents or not isinstance(documents[0], Mapping):
            bundle.problems.append((path, "holds no Kubernetes object"))
        else:
            bundle.manifests.append(Manifest(path, documents[0]))
    return bundle
