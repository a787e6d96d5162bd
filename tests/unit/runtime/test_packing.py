"""How objects are kept in few bytes."""

from __future__ import annotations

import json
from typing import Any

from kopf_sdk.runtime.packing import WINDOW, Packer


def document(name: str, **more: Any) -> dict[str, Any]:
    spec = {f"field-{number}": f"value {number * 7919 % 1000}" for number in range(100)}
    return {"metadata": {"name": name, "labels": {"ü": "ß"}}, "spec": spec, **more}


def test_what_is_packed_comes_back_as_it_was() -> None:
    packer = Packer()
    for value in (document("a"), {}, {"f": 1.5, "n": None, "big": 2**80, "text": "“😀”\x00"}, document("b", x=[True])):
        assert packer.pack(value).unpack() == value


def test_the_second_of_its_sort_takes_a_tenth() -> None:
    packer = Packer()
    sorts = [document("a"), {"data": {str(number): str(number**5) for number in range(100)}}]
    for sort in sorts:
        packer.pack(sort)
    for sort in sorts:
        assert len(packer.pack({**sort, "another": "field"}).data) * 10 < len(json.dumps(sort))


def test_the_same_document_is_the_same_whatever_it_was_compressed_against() -> None:
    packer = Packer()
    before = packer.pack(document("a"))
    packer.pack({"quite": "another", "sort": [str(number**7) for number in range(50)]})
    after = packer.pack(document("a"))
    assert before.pattern is not after.pattern
    assert before.same(after)
    assert packer.pack(document("a")).same(after)
    assert not before.same(packer.pack(document("b")))


def test_the_pattern_does_not_grow_for_ever() -> None:
    packer = Packer()
    for start in range(100):
        last = packer.pack({str(number): str((start * 1000 + number) ** 9) for number in range(40)})
    assert len(last.pattern) <= WINDOW
