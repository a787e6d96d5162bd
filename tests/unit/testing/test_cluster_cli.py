"""The command line where no cluster is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.cli import cluster


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOPF_SDK_STATE", str(tmp_path))
    monkeypatch.delenv("CLUSTER", raising=False)


def test_status_of_nothing_is_absent_and_exits_1() -> None:
    result = CliRunner().invoke(cluster, ["status", "-o", "json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["state"] == "absent"


def test_down_of_nothing_is_fine() -> None:
    result = CliRunner().invoke(cluster, ["down", "-o", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"name": "dev", "removed": False}


@pytest.mark.parametrize("command", [["kubeconfig"], ["logs"], ["load-image", "x.tar"]])
def test_what_needs_a_cluster_says_how_to_get_one(command: list[str]) -> None:
    result = CliRunner().invoke(cluster, command)
    assert isinstance(result.exception, SdkError)
    assert result.exception.hint == "kopf-sdk cluster up --name dev"


def test_expose_needs_a_cluster_too() -> None:
    result = CliRunner().invoke(cluster, ["expose", "9443"])
    assert isinstance(result.exception, SdkError)
    assert "kopf-sdk cluster up --name dev" in str(result.exception.hint)


def test_another_value_of_cluster_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "production")
    assert CliRunner().invoke(cluster, ["up"]).exit_code == 2


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # Every run of pytest on this machine imports the plugin.
        ("kopf_sdk.testing.pytest_plugin", ["kopf_sdk.testing.cluster", "cryptography", "rich", "asyncio.subprocess"]),
        # Every cluster carries the keeper.
        ("kopf_sdk.testing.cluster.keeper", ["kopf_sdk.testing.cluster.cluster", "cryptography", "rich", "pydantic"]),
    ],
)
def test_some_modules_stay_light(module: str, unwanted: list[str]) -> None:
    code = f"""\
import sys
{"import pytest" if "pytest" in module else ""}
before = set(sys.modules)
import {module}
print(*[name for name in {unwanted!r} if name in set(sys.modules) - before])
"""
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True, check=True)
    assert done.stdout.split() == []
