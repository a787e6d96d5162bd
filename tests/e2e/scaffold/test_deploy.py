"""A scaffolded operator becomes an image, is deployed with its chart, and runs in a pod."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import binary

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


def test_a_scaffolded_operator_runs_in_the_cluster(node_cluster: Cluster, tmp_path: Path) -> None:
    project = tmp_path / "toy-operator"
    project.mkdir()
    sdk = (sys.executable, "-m", "kopf_sdk")
    run(*sdk, "init", "--domain", "example.com", "--name", "toy-operator", cwd=project)
    run(*sdk, "create", "api", "--group", "cache", "--version", "v1", "--kind", "Toy", cwd=project)
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

    run("make", "undeploy", cwd=project, **environment)
    deployments = node_cluster.get("deployments", "-n", "toy-operator-system")["items"]
    assert deployments == []
