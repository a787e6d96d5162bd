"""Directories are replaced as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.bundle.output import differences, replace_directory
from kopf_sdk.errors import SdkError


def test_the_old_content_goes(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    replace_directory(target, {"manifests/a.yaml": "a"})
    replace_directory(target, {"manifests/b.yaml": "b", "metadata/c.yaml": "c"})

    assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*.yaml")) == [
        "manifests/b.yaml",
        "metadata/c.yaml",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle"], "no temporary directory is left"


def test_a_directory_of_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("precious")

    with pytest.raises(SdkError, match="not replaced"):
        replace_directory(tmp_path / "home", {"a": "a"})

    assert (tmp_path / "home" / "thesis.txt").read_text() == "precious"


def test_drift_is_named(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    replace_directory(target, {"manifests/a.yaml": "a", "manifests/b.yaml": "b"})

    assert differences(target, {"manifests/a.yaml": "x", "manifests/c.yaml": "c"}) == [
        "manifests/b.yaml: left over",
        "manifests/a.yaml: differs",
        "manifests/c.yaml: missing",
    ]
