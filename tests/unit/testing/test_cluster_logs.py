"""The ends of log files."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from kopf_sdk.testing.cluster.logs import follow, last_lines


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_the_last_lines(tmp_path: Path, count: int, expected: list[str]) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\n")
    assert last_lines(path, count) == expected


def test_the_last_lines_of_a_file_larger_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number} {'x' * 100}\n" for number in range(5000)))
    assert [line.split()[1] for line in last_lines(path, 3)] == ["4997", "4998", "4999"]


def test_following_gives_whole_lines_that_are_new(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("old\n")
    two.write_text("")
    rounds = iter(range(10))

    def going_on() -> bool:
        match next(rounds):
            case 1:
                with one.open("a") as file:
                    file.write("half")
            case 2:
                with two.open("a") as file:
                    file.write("x\ny\n")
            case 3:
                with one.open("a") as file:
                    file.write(" whole\n")
            case 5:
                return False
        return True

    lines = follow({"one": one, "two": two}, going_on, interval=0)
    assert list(islice(lines, 10)) == [("two", "x"), ("two", "y"), ("one", "half whole")]
