"""When the drill counts as passed, and what it prints."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from drill_report import HANDED_OVER, NOTHING, Row, document, shortfalls, table

GROWN = Row(
    *("grow", 1.5, 30_000, 30_000),
    new_pods=0,
    restarts=0,
    requests=900,
    failed=0,
    retried=3,
    wrong=0,
    slowest=0.25,
    may_lose=NOTHING,
)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (GROWN, []),
        (replace(GROWN, after=29_999), ["1 of 30000 items lost, none expected"]),
        (replace(GROWN, after=29_970, may_lose=HANDED_OVER), []),
        (replace(GROWN, after=29_969, may_lose=HANDED_OVER), ["31 of 30000 items lost, at most 0.1% expected"]),
        (replace(GROWN, after=0, may_lose=None), []),
        (replace(GROWN, failed=2), ["2 of 900 requests failed"]),
        (replace(GROWN, wrong=1), ["1 answers were out of date"]),
    ],
)
def test_what_is_not_as_promised_is_said(row: Row, words: list[str]) -> None:
    found = shortfalls([row])
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))


def test_the_table_and_the_document_say_the_same() -> None:
    lossy = replace(GROWN, action="drain", after=20_000, may_lose=None, note="its pod's items")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table("title", [GROWN, lossy]))
    text = console.export_text()
    assert "10000 (33.3%)" in text
    assert "0 of 900" in text
    found = document({"operator": [GROWN, lossy]}, [])
    assert found["passed"] is True
    assert [row["lost"] for row in found["operator"]] == [0, 10_000]
