"""What the templates write, for projects of every shape, before anybody has touched it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kopf_sdk.scaffold.merge import carry_out, plan
from kopf_sdk.scaffold.project import TAKEN, Api, Project

CACHE = Api("cache", "v1", "Memcached", controller=True)
SITE = Api("web", "v1beta1", "Site", namespaced=False, controller=True)
PROJECTS = {
    "fresh": Project("demo", "example.com"),
    "a kind": Project("demo", "example.com", apis=(CACHE,)),
    "a type": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached"),)),
    "versions": Project("demo", "example.com", apis=(CACHE, Api("cache", "v2", "Memcached", conversion=True))),
    "defaulting": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached", defaulting=True),)),
    "validation": Project("demo", "example.com", apis=(Api("cache", "v1", "Memcached", validation=True),)),
    "a kind called Cluster": Project("demo", "example.com", apis=(Api("cache", "v1", "Cluster", controller=True),)),
    "groups": Project(
        "demo",
        "example.com",
        multigroup=True,
        apis=(CACHE, SITE, Api("web", "v1", "Site", False, True, False, True, True, True)),
    ),
}


@pytest.fixture(scope="module", params=list(PROJECTS.values()), ids=list(PROJECTS))
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    carry_out(plan(root, request.param))
    return root


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=["lint", "format"])
def test_its_style_is_the_one_it_asks_for(root: Path, check: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--no-cache", "."], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_admission_is_asked_about_the_kinds_by_their_plurals(tmp_path: Path) -> None:
    apis = (Api("net", "v1", "Policy", validation=True), Api("net", "v1", "Proxy", defaulting=True))
    carry_out(plan(tmp_path, Project("demo", "example.com", apis=apis)))
    template = (tmp_path / "charts" / "demo" / "templates" / "webhook.yaml").read_text()
    assert "resources: [policies]\n        operations: [CREATE, UPDATE, DELETE]" in template
    assert "resources: [proxies]\n        operations: [CREATE, UPDATE]\n" in template


@pytest.mark.parametrize("namespaced", [True, False])
def test_the_lines_of_the_tutorial_are_code_in_the_same_style(tmp_path: Path, namespaced: bool) -> None:
    api = Api("cache", "v1", "Memcached", controller=True, namespaced=namespaced)
    carry_out(plan(tmp_path, Project("demo", "example.com", apis=(api,))))
    controller = tmp_path / "controllers" / "memcached.py"
    head, code = controller.read_text().split("    #\n", 1)
    code, tail = code.split("\n\n", 1)
    assert 20 <= len(code.splitlines()) <= 30
    controller.write_text(head + re.sub(r"^    # ", "    ", code, flags=re.MULTILINE) + "\n\n" + tail)
    assert ('"namespace": "default"' in code) != namespaced, "a Deployment is in a namespace, whatever its owner"
    for check in (("check",), ("format", "--check")):
        ruff = [sys.executable, "-m", "ruff", *check, "--no-cache", str(controller)]
        done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_kinds_cannot_have_names_that_their_modules_use(tmp_path: Path) -> None:
    apis = (Api("cache", "v1", "Toy", True, True, True, True, True, True),)
    carry_out(plan(tmp_path, Project("demo", "example.com", apis=apis)))
    modules = ["api/v1/toy.py", "controllers/toy.py", "webhooks/toy_v1.py", "tests/test_toy.py"]
    used = {
        name
        for module in modules
        for statement in ast.parse((tmp_path / module).read_text()).body
        for name in _names(statement)
        if name[0].isupper() and not name.startswith("Toy")
    }
    assert used == TAKEN | {"Cluster"}, "a kind called Cluster is provided for"


def _names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return []


def test_help_lists_every_target_of_the_tutorial(tmp_path: Path) -> None:
    carry_out(plan(tmp_path, PROJECTS["fresh"]))
    listed = subprocess.run(["make", "help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    targets = {word for line in listed.splitlines() if line.startswith("  ") for word in line[:20].split()}
    assert targets == {
        *("help", "venv", "generate", "manifests", "fmt", "lint", "test", "test-e2e", "run"),
        *("install", "uninstall", "deploy", "undeploy", "build-installer"),
        *("docker-build", "docker-push", "bundle", "bundle-build", "catalog-build"),
    }


def test_a_project_without_tests_for_a_cluster_passes_them(tmp_path: Path) -> None:
    carry_out(plan(tmp_path, PROJECTS["fresh"]))
    command = ["make", "test-e2e", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 deselected" in done.stdout


def test_everything_imported_is_a_dependency(tmp_path: Path) -> None:
    """Of `make lint` too: a package without types of its own needs those of somebody else."""
    carry_out(plan(tmp_path, PROJECTS["a kind"]))
    declared = (tmp_path / "pyproject.toml").read_text()
    imported = {
        node.module.partition(".")[0] if isinstance(node, ast.ImportFrom) and node.module else node.names[0].name
        for path in tmp_path.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    own = {"api", "controllers", "webhooks"}
    assert imported - own - sys.stdlib_module_names == {"kopf_sdk", "pytest", "yaml"}
    for name in ("kopf-sdk[", '"pytest"', '"PyYAML"', '"types-PyYAML"'):
        assert name in declared
