"""Our operator in several versions, in a catalog that OLM reads from this machine.

The versions are the same chart with another `--version` and image tag. Bundles are inlined in the catalog, so OLM needs
no unpack Jobs; `run bundle` and its tests go the other way, through images.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo_images import Images
from kopf_sdk.bundle.build import BuildRequest
from kopf_sdk.bundle.commands import build_bundle
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import ensure
from ports import free_port

CHART = Path(__file__).parents[3] / "charts" / "memcached-operator"
PACKAGE = "memcached-operator"
DEPLOYMENT = "memcached-operator-controller-manager"
REPOSITORY = "localhost/olm-matrix/memcached-operator"

OLD, BAD, NEW, NEWER = "0.1.1", "0.1.2", "0.1.3", "0.1.4"
HOOKS_OLD, HOOKS_NEW = "0.2.1", "0.2.2"
"""With webhooks, which refuse while nobody answers: so that what is not answered can be counted."""
HOOKS_SECRET = "webhook-certificate"
"""What Helm's installation is given; OLM makes one of its own."""
VERSIONS = (OLD, BAD, NEW, NEWER, HOOKS_OLD, HOOKS_NEW)

CHANNELS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "old": [{"name": OLD}],
    "stable": [{"name": OLD}, {"name": NEW, "replaces": OLD}],
    "broken": [{"name": OLD}, {"name": BAD, "replaces": OLD}],
    "skips": [{"name": OLD}, {"name": BAD, "replaces": OLD}, {"name": NEW, "replaces": OLD, "skips": [BAD]}],
    "range": [{"name": NEWER, "skipRange": f">=0.1.0 <{NEWER}"}],
    "hooks": [{"name": HOOKS_OLD}, {"name": HOOKS_NEW, "replaces": HOOKS_OLD}],
}


def csv(version: str) -> str:
    """The name of a version's ClusterServiceVersion."""
    return f"{PACKAGE}.v{version}"


def values(version: str, images: Images) -> list[str]:
    """What the chart is built, or installed with Helm, with."""
    memcached, _, tag = images.memcached.rpartition(":")
    settings = [
        "image.registry=",
        f"image.repository={REPOSITORY}",
        f"image.tag={version}",
        "operand.memcached.image.registry=",
        f"operand.memcached.image.repository={memcached}",
        f"operand.memcached.image.tag={tag}",
    ]
    if version in (HOOKS_OLD, HOOKS_NEW):
        settings += [
            "webhook.enabled=true",
            "webhook.failurePolicy=Fail",
            f"webhook.certificates.existingSecret.name={HOOKS_SECRET}",
        ]
    return settings


def load_images(cluster: Cluster, images: Images) -> None:
    """Give the node an image for every version. The bad one is memcached's, which ends at once with these arguments."""
    cluster.load_images(images.archives)
    for version in VERSIONS:
        cluster.tag_image(images.memcached if version == BAD else images.operator, f"{REPOSITORY}:{version}")


def request(version: str, images: Images) -> BuildRequest:
    """What the bundle of a version is built from."""
    return BuildRequest(
        str(CHART), PROFILES["olm-v0"], sets=values(version, images), version=version, channels=["stable"]
    )


def build(folder: Path, images: Images) -> dict[str, Path]:
    """The bundle directory of every version."""
    bundles = {}
    for version in VERSIONS:
        bundles[version] = folder / version
        report = build_bundle(request(version, images), bundles[version], check=False)
        assert not report.failed, report
    return bundles


def write_catalog(folder: Path, bundles: Mapping[str, Path]) -> None:
    """A file-based catalog with every version and the channels above."""
    opm = ensure(["opm"])["opm"]
    folder.mkdir()
    documents: list[dict[str, Any]] = [{"schema": "olm.package", "name": PACKAGE, "defaultChannel": "stable"}]
    for name, entries in CHANNELS.items():
        named = [{key: _named(value, key) for key, value in entry.items()} for entry in entries]
        documents.append({"schema": "olm.channel", "package": PACKAGE, "name": name, "entries": named})
    command = [str(opm), "render", "--output", "json", *map(str, bundles.values())]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    catalog = "\n".join(json.dumps(document) for document in documents) + rendered
    (folder / "catalog.json").write_text(catalog)
    subprocess.run([opm, "validate", folder], check=True)


def _named(value: Any, key: str) -> Any:
    if key == "skipRange":
        return value
    return [csv(version) for version in value] if isinstance(value, list) else csv(value)


@contextmanager
def served(cluster: Cluster, name: str, folder: Path, scratch: Path) -> Iterator[None]:
    """Serve a catalog on this machine's loopback and make a CatalogSource of it."""
    port, debug = free_port(), free_port()
    command = [
        str(ensure(["opm"])["opm"]),
        "serve",
        str(folder),
        f"--port={port}",
        f"--cache-dir={scratch / 'cache'}",
        "--cache-enforce-integrity=false",
        f"--termination-log={scratch / 'termination'}",
        f"--pprof-addr=127.0.0.1:{debug}",
    ]
    with (scratch / "opm.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _await_port(port)
            source = {
                "apiVersion": "operators.coreos.com/v1alpha1",
                "kind": "CatalogSource",
                "metadata": {"name": name, "namespace": "olm"},
                "spec": {"sourceType": "grpc", "address": cluster.expose_host(port), "displayName": name},
            }
            cluster.apply(json.dumps(source))
            yield
            cluster.kubectl("--namespace", "olm", "delete", "catalogsource", name)
        finally:
            server.terminate()


def _await_port(port: int) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "opm serves nothing"
            time.sleep(0.1)
        else:
            return
