"""A scaffolded operator becomes an image, is deployed with its chart, runs in a pod, and answers as a webhook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import binary
from waiting import eventually

pytestmark = [pytest.mark.node, pytest.mark.full]

ROOT = Path(__file__).parents[3]
IMAGE = "localhost/toy-operator:test"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refusal(cluster: Cluster, manifest: str) -> str:
    """Return why a webhook refuses a manifest; anything else that comes in its way is returned as it is."""
    try:
        cluster.apply(manifest)
    except SdkError as error:
        known = "an example of a refusal"
        return known if known in f"{error.message} {error.hint}" else error.message
    return "accepted"


def test_a_scaffolded_operator_runs_in_the_cluster(node_cluster: Cluster, tmp_path: Path) -> None:
    project = tmp_path / "toy-operator"
    project.mkdir()
    sdk = (sys.executable, "-m", "kopf_sdk")
    run(*sdk, "init", "--domain", "example.com", "--name", "toy-operator", cwd=project)
    kind = ("--group", "cache", "--kind", "Toy", "--version")
    run(*sdk, "create", "api", *kind, "v1", cwd=project)
    run(*sdk, "create", "api", *kind, "v2", cwd=project)
    run(*sdk, "create", "webhook", *kind, "v1", "--defaulting", "--validation", "--conversion", cwd=project)
    wheel = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*wheel, "--wheel-dir", project / "wheels", ROOT / "sdk", cwd=project)
    archive = tmp_path / "toy.tar"
    build = (*sdk, "images", "build", "--local-base", "--quiet", "--file", "Containerfile")
    run(*build, "--tag", IMAGE, "--output", archive, cwd=project)
    node_cluster.load_images([archive])

    path = f"{Path(binary('helm')).parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"KUBECONFIG": str(node_cluster.kubeconfig), "PATH": path}
    run("make", "deploy", f"IMG={IMAGE}", cwd=project, **environment)
    pods = node_cluster.get("pods", "-n", "toy-operator-system")["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running"]
    assert all(status["ready"] for status in pods[0]["status"]["containerStatuses"])

    sample = (project / "config" / "samples" / "cache_v1_toy.yaml").read_text()
    eventually(lambda: refusal(node_cluster, sample.replace("toy-sample", "forbidden")) == "an example of a refusal")
    node_cluster.apply(sample)
    converted = ("toys.v2.cache.example.com", "toy-sample")
    eventually(lambda: (node_cluster.get(*converted).get("status") or {}).get("conditions"))
    assert node_cluster.get(*converted)["apiVersion"] == "cache.example.com/v2"
    node_cluster.kubectl("delete", "toy", "toy-sample")

    run("make", "undeploy", cwd=project, **environment)
    deployments = node_cluster.get("deployments", "-n", "toy-operator-system")["items"]
    assert deployments == []
    node_cluster.kubectl("delete", "crd", "toys.cache.example.com")
