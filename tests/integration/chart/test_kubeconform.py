"""Everything that the chart renders, against the schemas of every Kubernetes that it says it runs on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from integration.chart.schemas import LOCATION, write_schemas
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.tools import binary
from kopf_sdk.testing.tools.toolchain import find_go, go_environment
from unit.chart.helm import CHART, PROJECT, VALUES, objects, template

RELEASES = ["1.29.15", "1.30.14", "1.31.14", "1.32.13", "1.33.9"]
"""The last one of each minor; the newest minor is what the tests' own cluster runs."""
FOREIGN = "Certificate,Issuer,PrometheusRule,ServiceMonitor"
"""Kinds of other projects."""


def conform(manifests: str, schemas: Path) -> subprocess.CompletedProcess[str]:
    options = ["-strict", "-summary", "-skip", FOREIGN, "-schema-location", f"{schemas}/{LOCATION}"]
    command: list[str | Path] = [binary("kubeconform"), *options]
    return subprocess.run(command, input=manifests, capture_output=True, text=True, check=False)


def check(openapi: str, version: str, schemas: Path) -> None:
    """Check all renderings for this version of Kubernetes."""
    write_schemas(json.loads(openapi), schemas)
    crd = next(item for item in objects() if item["kind"] == "CustomResourceDefinition")
    (served,) = crd["spec"]["versions"]
    (schemas / "memcached-cache-v1alpha1.json").write_text(json.dumps(served["schema"]["openAPIV3Schema"]))
    for case, values in VALUES.items():
        run = conform(template("--values", values, "--kube-version", version), schemas)
        assert run.returncode == 0, f"{case} on {version}: {run.stdout}{run.stderr}"
        assert "Valid: 0" not in run.stdout


def test_the_chart_conforms_to_the_kubernetes_of_the_tests(control_plane: Cluster, tmp_path: Path) -> None:
    version = json.loads(control_plane.kubectl("get", "--raw", "/version"))["gitVersion"]
    check(control_plane.kubectl("get", "--raw", "/openapi/v2"), version, tmp_path)

    typo = template().replace("automountServiceAccountToken", "automountServiceAccountTokens")
    refused = conform(typo, tmp_path)
    assert refused.returncode == 1
    assert "automountServiceAccountTokens" in refused.stdout


@pytest.mark.full
@pytest.mark.parametrize("version", RELEASES)
def test_the_chart_conforms_to_older_kubernetes(version: str, tmp_path: Path) -> None:
    """Their OpenAPI documents are part of the Go module that the cluster is built from, in other versions."""
    go = find_go((1, 24, 0), PROJECT / "tools", say=lambda line: None)
    download: list[str | Path] = [go, "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"]
    run = subprocess.run(download, capture_output=True, text=True, check=True, cwd=tmp_path, env=go_environment())
    folder = Path(json.loads(run.stdout)["Dir"])
    check((folder / "api" / "openapi-spec" / "swagger.json").read_text(), version, tmp_path / "schemas")


def test_every_minor_that_the_chart_accepts_is_checked() -> None:
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    assert oldest == f">={RELEASES[0].rpartition('.')[0]}.0-0"
