"""Real OLM on a node: its own chart, catalog pods, unpack Jobs, and our operator's image and bundle.

A cluster of its own: on the one of the other tests the operator is installed with Helm and looks after all namespaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from demo_images import Images, build_images
from e2e.olm import packages
from e2e.olm.installation import Installation
from kopf_sdk.olm import install_olm
from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.progress import ConsoleProgress

CATALOG = "matrix"


@pytest.fixture(scope="package")
def olm() -> Iterator[Cluster]:
    """A node with OLM."""
    keep = os.environ.get("KOPF_SDK_KEEP_CLUSTER", "0")
    kept = keep not in ("", "0")
    cluster = Cluster(f"pytest-olm-{keep}" if kept else f"pytest-olm-{os.getpid()}")
    progress = ConsoleProgress(Console(stderr=True))
    try:
        cluster.up(Size.NODE, owner=None if kept else os.getpid())
        install_olm(cluster, progress=progress)
        yield cluster
    finally:
        if not kept:
            cluster.down()


@pytest.fixture(scope="session")
def images() -> Images:
    """The operator and memcached, made on this machine."""
    return build_images(ConsoleProgress(Console(stderr=True)))


@pytest.fixture(scope="session")
def bundles(images: Images, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The bundle of every version in `packages`."""
    return packages.build(tmp_path_factory.mktemp("bundles"), images)


@pytest.fixture(scope="package")
def catalog(
    olm: Cluster, images: Images, bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a CatalogSource with these versions; their images are in the node."""
    packages.load_images(olm, images)
    scratch = tmp_path_factory.mktemp("catalog")
    packages.write_catalog(scratch / "configs", bundles)
    with packages.served(olm, CATALOG, scratch / "configs", scratch):
        yield CATALOG


@pytest.fixture
def installation(olm: Cluster, catalog: str, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """A namespace for the operator; whatever OLM installed in it is uninstalled after the test.

    Two operators for the same API must not meet, so the next test waits until this one's is gone.
    """
    name = f"olm-{request.node.name.replace('_', '-')[5:45].strip('-').split('[')[0].rstrip('-')}"
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    olm.kubectl("delete", "namespace", name, "--ignore-not-found")
    olm.apply(json.dumps(namespace))
    installed = Installation(olm, name, catalog)
    yield installed
    installed.uninstall()
    olm.kubectl("delete", "namespace", name, "--wait=false")
