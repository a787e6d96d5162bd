"""operator-sdk's scorecard on our bundle: its tests alone, without a cluster, and as pods on the node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import base_image
from kopf_sdk.testing.images.archive import references
from kopf_sdk.testing.tools import ensure

pytestmark = pytest.mark.node

BUNDLE = Path(__file__).parents[3] / "bundle"
IMAGES = Path(__file__).with_name("images.toml")
NAMESPACE = "scorecard"


def entrypoints() -> dict[str, list[str]]:
    """Name and entrypoint of every test in the bundle's configuration."""
    config = yaml.safe_load((BUNDLE / "tests" / "scorecard" / "config.yaml").read_text())
    return {test["labels"]["test"]: test["entrypoint"] for stage in config["stages"] for test in stage["tests"]}


def states(results: list[dict[str, Any]]) -> dict[str, str]:
    return {result["name"]: f"{result['state']} {result.get('errors') or ''}".strip() for result in results}


def test_the_bundle_passes_without_a_cluster(tmp_path: Path) -> None:
    """In a root of its own, as the program looks for the bundle in /bundle."""
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    shutil.copy(ensure(["scorecard-test"])["scorecard-test"], tmp_path / "scorecard-test")
    (tmp_path / "tmp").mkdir()
    found: dict[str, str] = {}
    for _, name in entrypoints().values():
        command = ["chroot", str(tmp_path), "/scorecard-test", name]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found |= states(json.loads(said[said.index("{") :])["results"])
    assert len(found) == 6
    assert set(found.values()) == {"pass"}, found


def test_the_bundle_passes_on_a_cluster(olm: Cluster, tmp_path: Path) -> None:
    """The same tests as pods, started by operator-sdk; the image is made here of operator-sdk's own program."""
    archive = base_image("scorecard", source=IMAGES)
    olm.load_images([archive])
    (image,) = references(archive)
    shutil.copytree(BUNDLE, tmp_path / "bundle")
    config = tmp_path / "bundle" / "tests" / "scorecard" / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    for stage in settings["stages"]:
        for test in stage["tests"]:
            test["image"] = image
    config.write_text(yaml.safe_dump(settings))
    if not olm.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        olm.create_namespace(NAMESPACE)
    command = [str(ensure(["operator-sdk"])["operator-sdk"]), "scorecard", str(tmp_path / "bundle"), "--output=json"]
    options = [
        f"--kubeconfig={olm.kubeconfig}",
        f"--namespace={NAMESPACE}",
        f"--untar-image={image}",
        "--wait-time=480s",
    ]
    # Elsewhere: operator-sdk reads a PROJECT file where it is started, and refuses plugins that it does not know.
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [result for item in json.loads(done.stdout)["items"] for result in item["status"]["results"]]
    found = states(results)
    assert len(found) == len(entrypoints())
    assert set(found.values()) == {"pass"}, found
