"""The command line: exit codes, JSON, nothing written on failure. No Helm needed: manifests come on standard input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kopf_sdk.bundle.cli import bundle, catalog

GOOD = """apiVersion: apps/v1
kind: Deployment
metadata: {name: op, namespace: my-namespace}
spec:
  selector: {matchLabels: {app: op}}
  template:
    metadata: {labels: {app: op}}
    spec: {containers: [{name: m, image: "quay.io/a/op:1"}]}
"""
STUCK = GOOD + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: ui, namespace: my-namespace}\n"


def run(tmp_path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from kopf_sdk.cli import main; main()", "bundle", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)


BUILD = ("build", "-", "--package", "op", "--version", "1.0.0")


def test_build_check_and_drift(tmp_path: Path) -> None:
    assert run(tmp_path, GOOD, *BUILD).returncode == 0
    assert (tmp_path / "bundle" / "manifests" / "op.clusterserviceversion.yaml").is_file()
    labels = [line for line in (tmp_path / "bundle.Dockerfile").read_text().splitlines() if line.startswith("LABEL")]
    annotations = (tmp_path / "bundle" / "metadata" / "annotations.yaml").read_text()
    assert labels
    assert all(line.split(" ", 1)[1].partition("=")[0] in annotations for line in labels)
    assert run(tmp_path, GOOD, *BUILD, "--check").returncode == 0
    changed = run(tmp_path, GOOD.replace("op:1", "op:2"), *BUILD, "--check")
    assert changed.returncode == 1
    assert "op.clusterserviceversion.yaml: differs" in changed.stdout


def test_an_object_without_a_place(tmp_path: Path) -> None:
    done = run(tmp_path, STUCK, *BUILD, "--report", "json")

    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert not report["ok"]
    assert not (tmp_path / "bundle").exists()
    stuck = next(item for item in report["objects"] if item["fate"] == "no place")
    assert (stuck["kind"], stuck["name"], len(stuck["remedies"])) == ("Ingress", "ui", 3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("build",), 2, "Missing argument"),
        (("build", "-", "--profile", "moon"), 2, "moon"),
        (("build", "-", "--version", "1.0.0"), 1, "the package has no name"),
        (("build", "-", "--package", "op", "--version", "one"), 1, "semantic version"),
        (("build", "-", "--package", "Op", "--version", "1.0.0"), 1, "no legal name"),
        (("build", "nowhere"), 1, "no such chart"),
        (("validate", "nowhere"), 1, "no such directory"),
    ],
)
def test_bad_input(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = run(tmp_path, GOOD, *arguments)

    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_commands() -> None:
    assert set(bundle.commands) == {"build", "diff", "explain", "image", "images", "init", "validate"}
    assert set(catalog.commands) == {"add", "build", "deprecate", "graph", "validate"}
