"""`kopf-sdk generate` from the outside: files, diffs, exit codes, and errors that name the place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kopf_sdk.cli import main

CHART = {"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n"}
SETTINGS = """
[tool.kopf-sdk]
resources = ["unit.generate.rows:Everything", "unit.generate.rows:EverythingBeta"]
chart = "chart"
crds = "config/crd"
docs = "docs/reference.md"
"""
FILES = {
    "chart/templates/crds/markers.example.com_everythings.yaml",
    "config/crd/markers.example.com_everythings.yaml",
    "docs/reference.md",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    (tmp_path / "chart").mkdir()
    for name, text in CHART.items():
        (tmp_path / "chart" / name).write_text(text)
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["generate", *arguments])
    return int(ended.value.code or 0)


def test_generate_check_and_drift(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--project", str(project), "--check") == 1
    assert not (project / "docs").exists(), "--check writes nothing"
    capfd.readouterr()

    assert run("--project", str(project), "--output", "json") == 0
    report = json.loads(capfd.readouterr().out)
    assert {file["path"]: file["change"] for file in report["files"]} == dict.fromkeys(FILES, "create")
    assert report["crds"][0]["name"] == "everythings.markers.example.com"
    before = {name: (project / name).read_bytes() for name in FILES}

    assert run("--project", str(project)) == 0
    assert {name: (project / name).read_bytes() for name in FILES} == before, "byte for byte the same"
    assert run("--project", str(project), "--check") == 0
    capfd.readouterr()

    page = project / "docs" / "reference.md"
    page.write_text(page.read_text().replace("# API reference", "# My reference"))
    assert run("--project", str(project), "--check") == 1
    output = capfd.readouterr()
    assert "-# My reference\n+# API reference\n" in output.out
    assert "1 of 3 generated files are not what the Python types say" in output.err
    assert "hint: run 'kopf-sdk generate'" in output.err


def test_a_kind_that_is_gone_takes_its_files_with_it(project: Path) -> None:
    assert run("--project", str(project)) == 0
    (project / "pyproject.toml").write_text(
        SETTINGS.replace(
            'unit.generate.rows:Everything", "unit.generate.rows:EverythingBeta',
            "memcached_operator.api.v1alpha1:Memcached",
        )
    )
    assert run("--project", str(project)) == 0
    assert [path.name for path in (project / "config" / "crd").iterdir()] == ["cache.example.com_memcacheds.yaml"]


def test_crds_on_standard_output(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--project", str(project), "crds") == 0
    crd = yaml.safe_load(capfd.readouterr().out)
    assert crd["metadata"]["name"] == "everythings.markers.example.com"


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("", "has no table [tool.kopf-sdk]", "resources ="),
        ("[tool.kopf-sdk]", "tool.kopf-sdk.resources: Field required", "the table knows resources"),
        ("[tool.kopf-sdk]\nresource = []", "tool.kopf-sdk.resource", "the table knows resources"),
        ("[tool.kopf-sdk", "is no TOML", "line"),
        ('[tool.kopf-sdk]\nresources = ["a.b"]', "resources[0]: 'a.b' names no object", "package.module:Name"),
        ('[tool.kopf-sdk]\nresources = ["nowhere.at_all:X"]', "the module nowhere cannot be imported", "install"),
        ('[tool.kopf-sdk]\nresources = ["unit.generate.rows:Nothing"]', "has no Nothing", "define it"),
        ('[tool.kopf-sdk]\nresources = ["unit.generate.rows:Port"]', "is no subclass of CustomResource", "class"),
        (
            '[tool.kopf-sdk]\nresources = ["unit.generate.rows:Everything"]\nchart = "no"',
            "no/Chart.yaml does not exist",
            "chart",
        ),
        (
            '[tool.kopf-sdk]\nresources = ["unit.generate.rows:Everything"]\nchart = "pyproject.toml"',
            "pyproject.toml/Chart.yaml does not exist",
            "chart",
        ),
        ('[tool.kopf-sdk]\nresources = []\ndocs = "."', "cannot be written: Is a directory", "pyproject.toml"),
    ],
)
def test_wrong_settings(
    tmp_path: Path, settings: str, message: str, hint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(settings)
    assert run("--project", str(tmp_path)) == 1
    error = capfd.readouterr().err
    assert message in error
    assert hint in error.partition("hint:")[2]
    assert "Traceback" not in error


def test_no_project(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--project", str(tmp_path)) == 1
    assert "pyproject.toml does not exist" in capfd.readouterr().err


def test_a_module_that_fails_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.kopf-sdk]\nresources = ["failing_types_module:X"]')
    (tmp_path / "failing_types_module.py").write_text("1 / 0")
    assert run("--project", str(tmp_path)) == 1
    problem = "ZeroDivisionError: division by zero (failing_types_module.py, line 1)"
    assert f"importing failing_types_module failed: {problem}" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("controllers = 1", ":controllers gives 1, which is no Controller"),
        ("def controllers(): return None", ":controllers gives None, which is no Controller"),
        ("def controllers(): return 1 / 0", ":controllers failed: ZeroDivisionError: division by zero ("),
    ],
)
def test_controllers_that_are_none(project: Path, source: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    module = f"controllers_{abs(hash(source))}"
    (project / f"{module}.py").write_text(source)
    (project / "pyproject.toml").write_text(f'{SETTINGS}controllers = "{module}:controllers"\n')
    assert run("--project", str(project)) == 1
    assert f"tool.kopf-sdk.controllers: {module}{message}" in capfd.readouterr().err


def test_a_definition_that_is_too_large_is_reported(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.kopf-sdk]\nresources = ["large_types_module:Large"]')
    (tmp_path / "large_types_module.py").write_text(
        "from kopf_sdk.api import CustomResource, Model\n"
        "class Spec(Model):\n    '''" + "x" * 270_000 + "'''\n"
        "class Large(CustomResource, group='example.com', version='v1'):\n    spec: Spec = Spec()\n"
    )
    assert run("--project", str(tmp_path)) == 0
    error = capfd.readouterr().err
    assert "larges.example.com, 103% of what an object can hold" in error
    assert "warning: larges.example.com is larger than 256 KiB" in error
