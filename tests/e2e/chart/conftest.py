"""A node cluster for charts alone: CustomResourceDefinitions come and go with the releases here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo_images import Images, build_images
from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.progress import ConsoleProgress
from kopf_sdk.testing.tools import binary

PROJECT = Path(__file__).parents[3]
ONCE = pytest.mark.parametrize("helm", ["helm4", pytest.param("helm", marks=pytest.mark.full)], indirect=True)
"""For what takes minutes: with one version of Helm in `make test`, with both in `make chart-test`."""
CHART = PROJECT / "charts" / "memcached-operator"


@pytest.fixture(scope="session")
def images() -> Images:
    """The operator and memcached, made on this machine."""
    return build_images(ConsoleProgress(Console(stderr=True)))


@pytest.fixture(scope="package")
def chart_cluster(images: Images) -> Iterator[Cluster]:
    """A node with the images, without the CRD."""
    keep = os.environ.get("KOPF_SDK_KEEP_CLUSTER", "0") not in ("", "0")
    cluster = Cluster("pytest-chart" if keep else f"pytest-chart-{os.getpid()}")
    try:
        cluster.up(Size.NODE, owner=None if keep else os.getpid())
        cluster.load_images(images.archives)
        yield cluster
    finally:
        if not keep:
            cluster.down()


@pytest.fixture(scope="session")
def image_values(images: Images) -> list[str]:
    """The values that make the chart run these images."""
    values = []
    for key, image in (("image", images.operator), ("operand.memcached.image", images.memcached)):
        repository, _, tag = image.rpartition(":")
        values.append(f"{key}.registry=,{key}.repository={repository},{key}.tag={tag}")
    return values


@dataclass
class Helm:
    """One version of Helm on one cluster."""

    name: str
    cluster: Cluster
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        """Run it and return what it prints."""
        command: list[str | Path] = [binary(self.name), *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        assert run.returncode == 0 or not check, f"{self.name} {arguments[0]}: {run.stdout}{run.stderr}"
        return run.stdout + run.stderr

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `kubectl get` with these arguments finds."""
        found: list[dict[str, Any]] = json.loads(self.cluster.kubectl("get", *arguments, "--output", "json"))["items"]
        return found


@pytest.fixture(scope="session")
def tool_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that Helm and chart-testing read, of our own: no repositories, plug-ins or clusters of the user's."""
    home = tmp_path_factory.mktemp("helm")
    tools = ":".join(str(binary(tool).parent) for tool in ("helm", "kubectl"))
    return os.environ | {
        "KUBECONFIG": "/dev/null",
        "PATH": f"{Path(sys.executable).parent}:{tools}:{os.environ['PATH']}",
        "HELM_CACHE_HOME": str(home / "cache"),
        "HELM_CONFIG_HOME": str(home / "config"),
        "HELM_DATA_HOME": str(home / "data"),
    }


@pytest.fixture(scope="package")
def environment(chart_cluster: Cluster, tool_environment: dict[str, str]) -> dict[str, str]:
    """The same, with the cluster for charts."""
    return tool_environment | {"KUBECONFIG": str(chart_cluster.kubeconfig)}


@pytest.fixture(params=["helm", "helm4"])
def helm(request: pytest.FixtureRequest, chart_cluster: Cluster, environment: dict[str, str]) -> Helm:
    """Each supported version of Helm."""
    return Helm(request.param, chart_cluster, environment)
