"""What `init`, `create` and `edit` refuse, with a sentence and with nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kopf_sdk.cli import main
from kopf_sdk.scaffold.merge import carry_out, plan
from kopf_sdk.scaffold.project import Api, Project, load

KIND = ("--group", "cache", "--version", "v1", "--kind")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def scaffolded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    apis = (Api("cache", "v1", "Memcached", controller=True, validation=True),)
    carry_out(plan(root, Project(name="demo", domain="example.com", apis=apis)))
    return root


@pytest.mark.parametrize(
    ("there", "arguments", "message"),
    [
        ("notes.txt", ("--domain", "example.com", "--name", "demo"), "is not empty: notes.txt"),
        ("PROJECT", ("--domain", "example.com", "--name", "demo"), "has a project already"),
        ("", ("--domain", "example.com", "--name", "Bad_Name"), "--name 'Bad_Name' is no name"),
        ("", ("--domain", "bad domain", "--name", "demo"), "--domain 'bad domain' is no domain"),
    ],
)
def test_init_refuses(
    tmp_path: Path, there: str, arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if there:
        (tmp_path / there).write_text("")
    assert run("init", *arguments, "--project", str(tmp_path)) == 1
    assert message in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ([there] if there else [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "api", *KIND, "Memcached"), "cache/v1 Memcached exists already"),
        (("create", "api", *KIND, "MemCached"), "MemCached and Memcached would have the same names"),
        (("create", "api", *KIND, "Memcached", "--namespaced=false"), "exists already"),
        (("create", "api", *KIND, "memcached"), "--kind 'memcached' is no kind"),
        (
            ("create", "api", "--group", "web", "--version", "v1", "--kind", "Site"),
            "has the group cache, and room for one",
        ),
        (
            ("create", "api", "--group", "cache", "--version", "v2", "--kind", "Memcached", "--controller"),
            "has a controller",
        ),
        (
            ("create", "api", "--group", "cache", "--version", "v2", "--kind", "Memcached", "--namespaced=false"),
            "is namespaced, in all its versions",
        ),
        (("create", "api", *KIND, "Other", "--no-resource"), "is not defined here"),
        (("create", "webhook", *KIND, "Other", "--validation"), "cache/v1 Other does not exist"),
        (("create", "webhook", *KIND, "Memcached"), "no webhook is asked for"),
        (("create", "webhook", *KIND, "Memcached", "--validation"), "has these webhooks already"),
        (("edit",), "nothing to change"),
    ],
)
def test_refusals(
    scaffolded: Path, arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in scaffolded.rglob("*") if path.is_file()}
    assert run(*arguments, "--project", str(scaffolded)) == 1
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert {path: path.read_bytes() for path in scaffolded.rglob("*") if path.is_file()} == before


def test_force_leaves_the_other_files_of_the_kind(scaffolded: Path, tmp_path: Path) -> None:
    root = tmp_path / "demo"
    shutil.copytree(scaffolded, root)
    edited = ["api/v1/memcached.py", "controllers/memcached.py", "webhooks/memcached_v1.py", "tests/test_memcached.py"]
    for path in edited:
        (root / path).write_text((root / path).read_text() + "# mine\n")
    kind = ("create", "api", *KIND, "Memcached", "--project", str(root))
    assert run(*kind, "--force", "--no-controller", "--namespaced=false") == 0
    assert [path for path in edited if "# mine" in (root / path).read_text()] == edited[1:]
    assert 'scope="Cluster"' in (root / "api/v1/memcached.py").read_text()
    assert run(*kind, "--force") == 0
    assert [path for path in edited if "# mine" in (root / path).read_text()] == ["webhooks/memcached_v1.py"]
    assert 'scope="Cluster"' in (root / "api/v1/memcached.py").read_text(), "as before, where nothing is said"


@pytest.mark.parametrize(
    ("project", "arguments"),
    [
        (
            Project(name="demo", domain="example.com", apis=(Api("cache", "v1", "Site", namespaced=False),)),
            ("edit", "--scope=namespace"),
        ),
        (
            Project(name="demo", domain="example.com", scope="namespace"),
            ("create", "api", *KIND, "Site", "--namespaced=false"),
        ),
    ],
)
def test_an_operator_of_one_namespace_has_no_cluster_wide_kind(
    tmp_path: Path, project: Project, arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    carry_out(plan(tmp_path, project))
    assert run(*arguments, "--project", str(tmp_path)) == 1
    assert "Site is cluster-wide" in capfd.readouterr().err
    assert load(tmp_path) == project


def test_outside_of_a_project(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("create", "api", *KIND, "Memcached", "--project", str(tmp_path)) == 1
    assert "run 'kopf-sdk init'" in capfd.readouterr().err


def test_which_files_changed_is_told_as_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = ("--project", str(tmp_path), "--output", "json")
    assert run("init", "--domain", "example.com", "--name", "demo", *root) == 0
    report = json.loads(capfd.readouterr().out)
    changes = {file["path"]: file["change"] for file in report["files"]}
    assert set(changes.values()) == {"create"}
    assert {"PROJECT", "Makefile", "docs/reference.md"} <= changes.keys()

    (tmp_path / "README.md").write_text("# mine\n")
    capfd.readouterr()
    assert run("update", *root) == 0
    report = json.loads(capfd.readouterr().out)
    assert {file["change"] for file in report["files"]} == {"unchanged"}
    assert (report["kept"], report["conflicts"]) == ([], [])


def test_files_of_a_kind(scaffolded: Path) -> None:
    for path in (
        "api/v1/memcached.py",
        "controllers/memcached.py",
        "webhooks/memcached_v1.py",
        "config/samples/cache_v1_memcached.yaml",
        "tests/test_memcached.py",
        "charts/demo/Chart.yaml",
        "Makefile",
        "Containerfile",
        ".github/workflows/ci.yaml",
    ):
        assert (scaffolded / path).is_file(), path
    assert not [
        path for path in scaffolded.rglob("*") if path.is_file() and ("[[" in path.name or "[%" in path.read_text())
    ]
