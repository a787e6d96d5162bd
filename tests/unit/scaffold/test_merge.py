"""New templates meet what people wrote: nothing of theirs is lost, and nothing is half done."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.scaffold import merge
from kopf_sdk.scaffold.merge import BASE, carry_out, plan
from kopf_sdk.scaffold.project import Api, Project
from kopf_sdk.scaffold.render import Rendered

PROJECT = Project(name="demo", domain="example.com", apis=(Api("cache", "v1", "Memcached", controller=True),))


@pytest.fixture(autouse=True)
def templates(monkeypatch: pytest.MonkeyPatch) -> dict[str, Rendered]:
    """Templates of two files, that a test may change."""
    files = {
        "project:a": Rendered("a", "one\ntwo\nthree\nfour\nfive\n"),
        "cache/v1/Memcached:types.py": Rendered("api/v1/memcached.py", "types\n"),
    }
    monkeypatch.setattr(merge, "render", lambda project: dict(files))
    return files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    carry_out(plan(tmp_path, PROJECT))
    return tmp_path


def test_again_changes_nothing(root: Path) -> None:
    assert {change.kind for change in plan(root, PROJECT).changes} == {"unchanged"}


def test_untouched_files_are_replaced(root: Path, templates: dict[str, Rendered]) -> None:
    templates["project:a"] = Rendered("a", "new\n")
    carry_out(plan(root, PROJECT))
    assert (root / "a").read_text() == "new\n"


def test_changes_on_both_sides_are_merged(root: Path, templates: dict[str, Rendered]) -> None:
    (root / "a").write_text("mine\ntwo\nthree\nfour\nfive\n")
    templates["project:a"] = Rendered("a", "one\ntwo\nthree\nfour\nnew\n")
    steps = plan(root, PROJECT)
    carry_out(steps)
    assert (root / "a").read_text() == "mine\ntwo\nthree\nfour\nnew\n"
    assert steps.conflicts == []


def test_conflicts_are_marked_and_named(root: Path, templates: dict[str, Rendered]) -> None:
    (root / "a").write_text("mine\ntwo\nthree\nfour\nfive\n")
    templates["project:a"] = Rendered("a", "theirs\ntwo\nthree\nfour\nfive\n")
    steps = plan(root, PROJECT)
    assert steps.conflicts == ["a"]
    carry_out(steps)
    assert (root / "a").read_text().startswith("<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> scaffolded now\n")


def test_a_file_that_moves_takes_its_changes_along(root: Path, templates: dict[str, Rendered]) -> None:
    (root / "api" / "v1" / "memcached.py").write_text("types\nmine\n")
    templates["cache/v1/Memcached:types.py"] = Rendered("api/cache/v1/memcached.py", "types\n")
    carry_out(plan(root, PROJECT))
    assert (root / "api" / "cache" / "v1" / "memcached.py").read_text() == "types\nmine\n"
    assert not (root / "api" / "v1").exists()


def test_imports_of_modules_that_move_are_corrected(root: Path, templates: dict[str, Rendered]) -> None:
    imports = "from api.v1.memcached import {}\nimport api.v1.memcached_more\nimport my.api.v1.memcached\n"
    templates["project:a"] = Rendered("a", imports.format("Memcached"))
    carry_out(plan(root, PROJECT))
    (root / "a").write_text(imports.format("Memcached, Spec"))
    templates["cache/v1/Memcached:types.py"] = Rendered("api/cache/v1/memcached.py", "types\n")
    corrected = imports.replace("from api.v1.", "from api.cache.v1.")
    templates["project:a"] = Rendered("a", corrected.format("Memcached"))
    steps = plan(root, PROJECT)
    carry_out(steps)
    assert steps.conflicts == []
    assert (root / "a").read_text() == corrected.format("Memcached, Spec")


def test_a_file_that_is_no_text_is_named(root: Path) -> None:
    (root / "a").write_bytes(b"\xff")
    with pytest.raises(SdkError, match="a cannot be read"):
        plan(root, PROJECT)


def test_a_deleted_file_stays_deleted(root: Path, templates: dict[str, Rendered]) -> None:
    (root / "a").unlink()
    templates["project:a"] = Rendered("a", "new\n")
    carry_out(plan(root, PROJECT))
    assert not (root / "a").exists()


def test_files_without_a_template_go_unless_changed(root: Path, templates: dict[str, Rendered]) -> None:
    del templates["project:a"]
    (root / "api" / "v1" / "memcached.py").write_text("mine\n")
    del templates["cache/v1/Memcached:types.py"]
    steps = plan(root, PROJECT)
    carry_out(steps)
    assert not (root / "a").exists()
    assert (root / "api" / "v1" / "memcached.py").read_text() == "mine\n"
    assert steps.kept == ["api/v1/memcached.py"]


def test_files_of_others_are_not_overwritten(root: Path, templates: dict[str, Rendered]) -> None:
    (root / "b").write_text("mine\n")
    templates["project:b"] = Rendered("b", "new\n")
    with pytest.raises(SdkError, match="b exists already"):
        plan(root, PROJECT)
    carry_out(plan(root, PROJECT, force=True))
    assert (root / "b").read_text() == "new\n"


def test_what_is_written_anew_and_nothing_else(root: Path) -> None:
    (root / "api" / "v1" / "memcached.py").write_text("mine\n")
    (root / "a").write_text("mine\n")
    carry_out(plan(root, PROJECT, anew=["cache/v1/Memcached:types.py"]))
    assert (root / "api" / "v1" / "memcached.py").read_text() == "types\n"
    assert (root / "a").read_text() == "mine\n"


def test_the_description_is_written_too(root: Path) -> None:
    carry_out(plan(root, replace(PROJECT, multigroup=True)))
    assert "multigroup: true" in (root / "PROJECT").read_text()


def test_a_project_that_lost_its_base_is_left_alone(root: Path) -> None:
    (root / BASE).unlink()
    with pytest.raises(SdkError, match=r"\.kopf-sdk\.json is missing"):
        plan(root, PROJECT, force=True)


def test_a_damaged_base_is_an_error(root: Path) -> None:
    (root / BASE).write_text(json.dumps({"files": {"a": {}}}))
    with pytest.raises(SdkError, match="cannot be read"):
        plan(root, PROJECT)
