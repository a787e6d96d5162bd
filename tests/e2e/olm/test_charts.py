"""Other people's operators: what our builder makes of their charts, installed by the real OLM.

Their images are not to be had here. A stand-in answers to their names: it stays up, serves the probes, and does nothing
else. So what is shown is that OLM takes the bundle and makes what the chart wanted, not that the operators work.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.olm.live import made_by_olm, meant, unexplained, with_defaults
from integration.bundle.tools import GOLDEN_CHARTS, golden
from kopf_sdk.bundle.build import BuildRequest, build
from kopf_sdk.bundle.bundle_dir import load_bundle
from kopf_sdk.bundle.commands import build_bundle
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.olm import cleanup, run_bundle
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import archive
from kopf_sdk.testing.images.definition import Definition
from kopf_sdk.testing.images.layer import Layer

pytestmark = pytest.mark.node

STAND_IN = "localhost/olm-tests/stand-in:1"
SCRIPT = """#!/bin/busybox sh
for port in 6080 8080 8081 9403; do busybox httpd -p $port -h /www; done
trap 'exit 0' TERM
while :; do busybox sleep 3600 & wait $!; done
"""
PROGRAMS = ("manager", "stand-in")
"""Where charts with a command of their own look for it."""
ANSWERED = ("healthz", "healthy", "livez", "ready", "readyz")
CONFIG = {
    "cert-manager": {
        "drop": [{"kind": "Job", "name": "cert-manager-startupapicheck", "reason": "waits until the API answers, once"}]
    }
}
"""What our builder has to be told; nothing for the others."""
PLACEHOLDER = "placeholder"


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of the stand-in's image."""
    folder = tmp_path_factory.mktemp("stand-in")
    layer = Layer()
    layer.file("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    for name in PROGRAMS:
        layer.file(name, SCRIPT.encode(), mode=0o755)
    for name in ANSWERED:
        layer.file(f"www/{name}", b"ok\n")
    layer.write(folder / "layer.tar")
    definition = Definition(reference=STAND_IN, user="65534:65534", entrypoint=("/stand-in",))
    archive.write(folder / "image.tar", STAND_IN, definition, folder / "layer.tar")
    return folder / "image.tar"


def full_name(image: str) -> str:
    """The name that containerd looks an image up by: with its registry."""
    host, slash, _ = image.partition("/")
    if slash and ("." in host or ":" in host):
        return image
    return f"docker.io/{image}" if slash else f"docker.io/library/{image}"


def unused(cluster: Cluster, objects: list[Object]) -> list[Object]:
    """Remove what a run before left: OLM leaves cluster-scoped files of a bundle when it uninstalls it."""
    for obj in objects:
        if not obj.namespaced:
            kind = f"{obj.kind}.{obj.group}" if obj.group else obj.kind
            cluster.kubectl("delete", kind, obj.name, "--ignore-not-found")
    return objects


@pytest.fixture
def clean(olm: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of a namespace; the package in it is gone after the test."""
    namespace = f"chart-{request.node.callspec.params['chart']}"
    yield namespace
    subscriptions = olm.get("subscriptions", "--namespace", namespace)["items"]
    for item in subscriptions:
        cleanup(olm, item["spec"]["name"], namespace=namespace, delete_crds=True)
    olm.kubectl("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


LARGE = [pytest.param(name, marks=pytest.mark.full) for name in GOLDEN_CHARTS if name != "kube-green"]


@pytest.mark.parametrize("chart", ["kube-green", *LARGE])
def test_olm_makes_what_the_chart_wanted(
    olm: Cluster, clean: str, chart: str, stand_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering = (golden(chart) / "rendered.yaml").read_bytes()
    config = tmp_path / "bundle.yaml"
    config.write_text(yaml.safe_dump(CONFIG.get(chart, {})))
    request = BuildRequest(
        "-",
        PROFILES["olm-v0"],
        config=config if chart in CONFIG else None,
        chart_metadata=golden(chart) / "Chart.yaml",
        namespace=PLACEHOLDER,
    )

    def give() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(rendering)))

    give()
    conversion = build(request)
    give()
    report = build_bundle(request, tmp_path / "bundle", check=False)
    assert not report.failed
    bundle = load_bundle(tmp_path / "bundle")

    if not olm.kubectl("get", "namespace", PLACEHOLDER, "--ignore-not-found"):
        olm.create_namespace(PLACEHOLDER)
    wanted = with_defaults(olm, unused(olm, meant(conversion, bundle)))
    olm.load_images([stand_in])
    for deployment in bundle.deployments:
        pod = deployment["spec"]["template"]["spec"]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            olm.tag_image(STAND_IN, full_name(container["image"]))

    run_bundle(olm, str(tmp_path / "bundle"), namespace=clean)
    errors, _ = unexplained(conversion, bundle, wanted, made_by_olm(olm, clean, bundle))
    assert not errors, "\n".join(errors)
