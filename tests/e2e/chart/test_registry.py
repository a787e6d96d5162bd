"""The package, pushed to an OCI registry on loopback, pulled, verified and installed from there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.chart.conftest import CHART, PROJECT, Helm
from oci_registry import serving

pytestmark = pytest.mark.node

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())
NAMESPACE = "from-registry"


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """Address of an empty registry, served over plain HTTP from memory."""
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make chart-package` makes."""
    folder = tmp_path_factory.mktemp("package")
    command: list[str | Path] = [sys.executable, PROJECT / "charts" / "release.py", "package", "--output", folder]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def test_the_chart_is_pushed_pulled_and_installed(
    helm: Helm, registry: str, package: Path, image_values: list[str], tmp_path: Path
) -> None:
    folder = f"oci://{registry}/{helm.name}"
    chart, version = f"{folder}/{METADATA['name']}", ["--version", METADATA["version"], "--plain-http"]
    helm("push", package, folder, "--plain-http")

    helm("pull", chart, *version, "--destination", tmp_path)
    assert (tmp_path / package.name).read_bytes() == package.read_bytes()

    sets = [argument for value in [*image_values, "crds.keep=false"] for argument in ("--set", value)]
    try:
        options = ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "300s", *sets]
        helm("install", "demo", chart, *version, *options)
        (deployment,) = helm.objects("deployments", "--namespace", NAMESPACE)
        assert deployment["status"]["readyReplicas"] == 1
    finally:
        helm("uninstall", "demo", "--namespace", NAMESPACE, "--ignore-not-found", "--wait")
        helm.cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
