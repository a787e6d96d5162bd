"""Files are compared, and replaced all together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.generate.output import MARK, Change, File, compare, stale, write


def test_what_changes(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("a\n")
    (tmp_path / "other").write_text("a\nb\n")
    (tmp_path / "old").write_text("a\n")
    files = [
        File(tmp_path / "same", "a\n"),
        File(tmp_path / "other", "a\nc\n"),
        File(tmp_path / "old", None),
        File(tmp_path / "deep" / "new", "x\n"),
    ]
    changes = compare(files, tmp_path)
    assert [change.kind for change in changes] == ["unchanged", "update", "delete", "create"]
    assert changes[1].diff == "--- a/other\n+++ b/other\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert changes[3].diff.startswith("--- /dev/null\n+++ b/deep/new\n")
    write(changes)
    assert {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {
        "same": "a\n",
        "other": "a\nc\n",
        "new": "x\n",
    }
    assert {change.kind for change in compare(files, tmp_path)} == {"unchanged"}


def test_nothing_is_written_when_something_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("before\n")
    (tmp_path / "blocker").write_text("a file where a folder is needed")
    files = [File(tmp_path / "first", "after\n"), File(tmp_path / "blocker" / "second", "x\n")]
    with pytest.raises(SdkError, match="blocker"):
        write([*compare(files[:1], tmp_path), Change(files[1], "create")])
    assert (tmp_path / "first").read_text() == "before\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blocker", "first"]


def test_only_generated_files_are_stale(tmp_path: Path) -> None:
    for name, text in {"kept": MARK, "gone": f"# {MARK} from x", "mine": "# by hand"}.items():
        (tmp_path / name).write_text(text)
    assert stale(tmp_path, [File(tmp_path / "kept", MARK)]) == [File(tmp_path / "gone", None)]


def test_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0o600)
    write(compare([File(tmp_path / "a", "y"), File(tmp_path / "b", "y")], tmp_path))
    assert ((tmp_path / "a").stat().st_mode & 0o777, (tmp_path / "b").stat().st_mode & 0o777) == (0o600, 0o644)
