"""What memcached refuses to read is known before it is tried."""

from __future__ import annotations

from typing import Any

import pytest

from memcached_operator.arguments import command_line
from memcached_operator.warm import refusal, version_refusal
from unit.operator.factory import memcached

WARM: dict[str, Any] = {"warmRestart": {"enabled": True}}


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"threads": 8}, ""),
        ({"maxConnections": 4096, "verbosity": 1}, ""),
        ({"extraArgs": ["-R", "40", "-F"]}, ""),
        ({"extraArgs": ["--extended=hash_algorithm=murmur3,lru_crawler"]}, ""),
        ({"memory": "128Mi"}, "memory"),
        ({"maxItemSize": "2Mi"}, "maxItemSize"),
        ({"extraArgs": ["-f", "1.5"]}, "the growth factor of slabs (-f)"),
        ({"extraArgs": ["-Ff1.5"]}, "the growth factor of slabs (-f)"),
        ({"extraArgs": ["--slab-growth=1.5"]}, "the growth factor of slabs (-f)"),
        ({"extraArgs": ["--disable-cas", "--slab-min-size=64"]}, "CAS (-C), the smallest slab size (-n)"),
        ({"extraArgs": ["-o", "idle_timeout=10,no_modern"]}, "-o no_modern"),
        ({"extraArgs": ["--from-the-future"]}, "--from-the-future"),
    ],
)
def test_arguments_that_the_memory_file_depends_on_are_named(change: dict[str, Any], refused: str) -> None:
    before = command_line(memcached(**WARM))
    after = command_line(memcached(**WARM, **change))
    said = refusal(before, after).partition("another value of ")[2]
    assert said == refused
    assert bool(refusal(after, before)) == bool(refused)


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("1.6.18", "1.6.45", False),
        ("1.6.38", "1.6.45", False),
        ("1.6.45", "1.6.38", False),
        ("1.6.45", "1.6.24", True),
        (None, "1.6.24", True),
        ("1.6.18", "1.6.9", False),
        (None, "1.6.45", False),
        ("1.6.45", None, False),
    ],
)
def test_a_version_below_1_6_25_does_not_read_what_a_newer_one_saved(
    before: str | None, after: str | None, refused: bool
) -> None:
    assert bool(version_refusal(before, after)) == refused
