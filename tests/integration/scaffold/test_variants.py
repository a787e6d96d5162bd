"""A project with everything in it: several groups, versions, kinds and webhooks, moved there and back again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kopf_sdk.runtime import Settings


def run(root: Path, *command: str, fails: bool = False) -> str:
    """Run a command in the project, with this Python's programs and the pinned tools; return all that it printed."""
    tools = Path(__file__).parents[3] / ".tools" / "bin"
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(tools), os.environ["PATH"]])
    }
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")

    def create_api(group: str, version: str, kind: str, *more: str, fails: bool = False) -> str:
        names = ["--group", group, "--version", version, "--kind", kind]
        return run(root, "kopf-sdk", "create", "api", *names, *more, fails=fails)

    run(root, "kopf-sdk", "init", "--domain", "example.com", "--name", "demo")
    create_api("cache", "v1alpha1", "Memcached")
    create_api("cache", "v1", "Memcached")
    assert "room for one" in create_api("web", "v1", "Site", fails=True)

    controller = root / "controllers" / "memcached.py"
    controller.write_text(controller.read_text().replace("Nothing has to be done yet", "Mine"))
    run(root, "kopf-sdk", "edit", "--multigroup=true", "--scope=namespace")
    assert not controller.exists()
    assert "Mine" in (root / "controllers" / "cache" / "memcached.py").read_text()

    assert "Site is cluster-wide" in create_api("web", "v1", "Site", "--namespaced=false", fails=True)
    create_api("web", "v1", "Site")
    webhook = ["kopf-sdk", "create", "webhook", "--group", "cache", "--kind", "Memcached"]
    run(root, *webhook, "--version", "v1alpha1", "--defaulting", "--validation", "--conversion")
    run(root, *webhook, "--version", "v1", "--validation")
    assert "several API groups" in run(root, "kopf-sdk", "edit", "--multigroup=false", fails=True)
    return root


def test_it_passes_its_own_tests(project: Path) -> None:
    run(project, "make", "test")
    run(project, "ruff", "check", ".")
    run(project, "ruff", "format", "--check", ".")


@pytest.mark.full
def test_its_types_are_right(project: Path) -> None:
    run(project, "make", "lint")


def test_an_update_to_the_same_templates_changes_nothing(project: Path) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and "cache__" not in str(path)}
    run(project, "kopf-sdk", "update")
    assert {path: path.read_bytes() for path in before} == before


def test_its_chart_renders(project: Path, tmp_path: Path) -> None:
    rendered = list(yaml.safe_load_all(run(project, "helm", "template", "demo", "charts/demo", "--namespace", "here")))
    kinds = [document["kind"] for document in rendered if document]
    assert kinds.count("CustomResourceDefinition") == 2
    assert {"Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} <= set(kinds)

    def find(kind: str, name: str) -> dict[str, Any]:
        return next(one for one in rendered if one and one["kind"] == kind and one["metadata"]["name"].endswith(name))

    assert find("Role", "demo-manager")["metadata"]["namespace"] == "here"
    crd = find("CustomResourceDefinition", "memcacheds.cache.example.com")
    assert crd["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["name"] == "demo-webhook"
    file = tmp_path / "settings.yaml"
    file.write_text(find("ConfigMap", "demo-manager-config")["data"]["settings.yaml"])
    settings = Settings.read(["--config", str(file)], {})
    assert settings.webhook_configurations.split(",") == [
        "mutatingwebhookconfigurations/demo",
        "validatingwebhookconfigurations/demo",
        "customresourcedefinitions/memcacheds.cache.example.com",
    ]
    allowed = [rule["resourceNames"] for rule in find("ClusterRole", "demo-webhook")["rules"]]
    assert allowed == [["demo"], ["memcacheds.cache.example.com"]]
    paths = [
        one["clientConfig"]["service"]["path"] for one in find("ValidatingWebhookConfiguration", "demo")["webhooks"]
    ]
    assert paths == [
        "/validate-cache-example-com-v1alpha1-memcached",
        "/validate-cache-example-com-v1-memcached",
    ]


@pytest.mark.timeout(900)
def test_its_bundle_leaves_the_certificate_to_olm(project: Path, tmp_path: Path) -> None:
    bundle = ["kopf-sdk", "bundle", "build", "charts/demo", "--output", str(tmp_path / "bundle")]
    report = run(project, *bundle)
    assert "webhook-selector-lost" not in report
    settings = yaml.safe_load((tmp_path / "bundle" / "manifests" / "demo-manager-config_v1_configmap.yaml").read_text())
    assert "enableWebhooks: true" in settings["data"]["settings.yaml"]
    assert "webhookSecret" not in settings["data"]["settings.yaml"]
