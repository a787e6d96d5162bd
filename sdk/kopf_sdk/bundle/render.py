"""A chart rendered by the real Helm. Nothing is sent to a cluster."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.chart import Chart, read_chart
from kopf_sdk.errors import SdkError

__all__ = ["DEFAULT_KUBE_VERSION", "INSTALL_NAMESPACE", "RenderOptions", "fetch_chart", "render"]

# A helm built from source thinks that it talks to Kubernetes 1.20: the version is always given.
DEFAULT_KUBE_VERSION = "1.31.0"
# Charts are rendered into this namespace unless told otherwise; a name that occurs nowhere else is easy to find again.
INSTALL_NAMESPACE = "olm-install-namespace"
_TIMEOUT = 300


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What goes to `helm template`; `values` come before the files, the files before `sets`."""

    release: str
    namespace: str = INSTALL_NAMESPACE
    kube_version: str = DEFAULT_KUBE_VERSION
    api_versions: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    value_files: Sequence[Path] = ()
    sets: Sequence[str] = ()


def fetch_chart(reference: str, workdir: Path) -> tuple[Path, Chart]:
    """Return the path and the metadata of a chart; `oci://name[:version]` is pulled into `workdir` first."""
    if not reference.startswith("oci://"):
        path = Path(reference)
        return path, read_chart(path)
    from kopf_sdk.bundle.registry import plain_http  # noqa: PLC0415  # only registries need it

    head, colon, version = reference.rpartition(":")
    name, arguments = reference, []
    if colon and "/" not in version:
        name, arguments = head, ["--version", version]
    if plain_http(name.removeprefix("oci://").partition("/")[0]):
        arguments = [*arguments, "--plain-http"]
    _helm(["pull", name, *arguments, "--destination", str(workdir)], f"pulling {reference}")
    archives = sorted(workdir.glob("*.tgz"))
    if len(archives) != 1:
        raise SdkError(f"{reference}: helm pull gave {len(archives)} archives instead of one")
    return archives[0], read_chart(archives[0])


def render(path: Path, options: RenderOptions) -> str:
    """Return what `helm template` prints for a chart: CRDs, hooks and tests included.

    Raises
    ------
    SdkError
        Helm is missing, or refuses the chart or its values; carries Helm's own words.
    """
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-") as folder:
        arguments = ["template", options.release, str(path), "--namespace", options.namespace, "--include-crds"]
        arguments += ["--kube-version", options.kube_version]
        for version in options.api_versions:
            arguments += ["--api-versions", version]
        if options.values:
            first = Path(folder) / "values.yaml"
            first.write_text(yaml.dump(dict(options.values)), encoding="utf-8")
            arguments += ["--values", str(first)]
        for file in options.value_files:
            if not file.is_file():
                raise SdkError(f"{file}: no such values file")
            arguments += ["--values", str(file)]
        for pair in options.sets:
            arguments += ["--set", pair]
        return _helm(arguments, f"rendering {path}")


def _helm(arguments: list[str], doing: str) -> str:
    helm = shutil.which("helm")
    if helm is None:
        raise SdkError(
            "helm is not on PATH",
            hint="Install Helm 3 or 4, or render elsewhere and pipe: helm template … | kopf-sdk bundle build -",
        )
    try:
        done = subprocess.run([helm, *arguments], capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise SdkError(f"{doing}: helm did not answer within {_TIMEOUT} s") from error
    if done.returncode:
        words = done.stderr.strip().removeprefix("Error: ")
        hint = (
            "Its dependencies are missing: run `helm dependency build` first."
            if "dependenc" in words
            else "Helm says why; the same command without kopf-sdk: helm " + " ".join(arguments)
        )
        raise SdkError(f"{doing}: {words}", hint=hint)
    return done.stdout
