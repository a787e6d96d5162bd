"""A real API server takes what is generated, Helm renders it, `kubectl explain` shows the docstrings."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.generate.conftest import Send
from kopf_sdk.generate import crd_manifests
from kopf_sdk.generate.chart import crd_template
from memcached_operator.api.v1alpha1 import Memcached
from unit.generate.rows import Everything, EverythingBeta

Install = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def everything(install: Install) -> dict[str, Any]:
    return install(crd_manifests([EverythingBeta, Everything])[0])


def test_every_row_of_the_table_is_structural(everything: dict[str, Any]) -> None:
    conditions = {condition["type"]: condition["status"] for condition in everything["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_the_api_server_keeps_every_word(everything: dict[str, Any]) -> None:
    """What it does not know, it drops in silence: nothing may be missing from what is stored."""
    missing = list(_missing(crd_manifests([EverythingBeta, Everything])[0]["spec"], everything["spec"], ""))
    assert missing == []


def _missing(generated: Any, stored: Any, path: str) -> Any:
    if isinstance(generated, dict) and isinstance(stored, dict):
        for key, value in generated.items():
            if key in stored:
                yield from _missing(value, stored[key], f"{path}.{key}")
            elif value not in (False, 0):
                yield f"{path}.{key}"
    elif isinstance(generated, list) and isinstance(stored, list):
        for index, (one, other) in enumerate(zip(generated, stored, strict=True)):
            yield from _missing(one, other, f"{path}[{index}]")
    elif generated != stored:
        yield f"{path}: {generated!r} is stored as {stored!r}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("everything", "Everything that a marker can say."),
        ("everything.spec.text", "A docstring is the description."),
        ("everything.spec.ports.number", "Its number."),
    ],
)
def test_kubectl_explains_the_docstrings(everything: dict[str, Any], kubeconfig: Path, path: str, text: str) -> None:
    command = ["kubectl", "--kubeconfig", str(kubeconfig), "explain", path]
    # OpenAPI follows the CRD by some seconds.
    for _ in range(30):
        explained = subprocess.run(command, capture_output=True, text=True, check=False)
        if explained.returncode == 0:
            break
        time.sleep(1)
    assert text in explained.stdout, explained.stderr


def test_versions_that_are_not_served_are_not_served(everything: dict[str, Any], send: Send) -> None:
    assert [version["name"] for version in everything["spec"]["versions"]] == ["v1beta1", "v1"]
    _, found = send("GET", "/apis/markers.example.com")
    assert [version["version"] for version in found["versions"]] == ["v1"]


def test_the_scale_subresource_works(everything: dict[str, Any], send: Send) -> None:
    path = "/apis/markers.example.com/v1/everythings"
    resource = {"apiVersion": "markers.example.com/v1", "kind": "Everything", "metadata": {"name": "scaled"}}
    assert send("POST", path, resource | {"spec": {"text": "x"}})[0] == 201
    code, scale = send("GET", f"{path}/scaled/scale")
    assert (code, scale["spec"]["replicas"]) == (200, 1)


@pytest.mark.parametrize("keep", [True, False])
def test_the_chart_renders_the_same_definition(tmp_path: Path, keep: bool) -> None:
    for crd in crd_manifests([EverythingBeta, Everything, Memcached]):
        rendered = _render(tmp_path, crd, {"crds": {"install": True, "keep": keep, "annotations": {"a": "b"}}})
        assert rendered["spec"] == crd["spec"]
        annotations = rendered["metadata"]["annotations"]
        assert annotations.get("helm.sh/resource-policy") == ("keep" if keep else None)
        assert annotations["a"] == "b"
        assert rendered["metadata"]["labels"]["from"] == "the chart"
        own = crd["metadata"].get("annotations", {}) | crd["metadata"].get("labels", {})
        assert own.items() <= (annotations | rendered["metadata"]["labels"]).items()


def test_the_chart_may_leave_the_definition_out(tmp_path: Path) -> None:
    crd = crd_manifests([Memcached])[0]
    assert _render(tmp_path, crd, {"crds": {"install": False, "keep": True, "annotations": {}}}) is None


def _render(folder: Path, crd: dict[str, Any], values: dict[str, Any]) -> Any:
    helm = shutil.which("helm") or "helm"
    templates = folder / "templates"
    templates.mkdir(exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: demo\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text(json.dumps(values))
    (templates / "_helpers.tpl").write_text('{{- define "demo.labels" -}}\nfrom: the chart\n{{- end }}\n')
    (templates / "crd.yaml").write_text(crd_template(crd, "demo", "somewhere"))
    text = subprocess.run([helm, "template", str(folder)], capture_output=True, text=True, check=True).stdout
    return yaml.safe_load(text)
