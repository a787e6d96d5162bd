"""What memcached is started with, and under which name pods find it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from pydantic import ValidationError

from memcached_operator.api.v1alpha1 import pods
from memcached_operator.arguments import argument_lines, command_line, digest
from unit.operator.factory import memcached


def test_the_port_of_the_resource_is_memcacheds() -> None:
    assert "--port=11299" in command_line(memcached(containerPort=11299))


def test_a_limit_that_can_change_while_memcached_runs_is_not_among_those_that_need_a_restart() -> None:
    assert "memory-limit" not in argument_lines(memcached())
    assert digest(memcached()) == digest(memcached(memory="128Mi"))
    assert digest(memcached()) != digest(memcached(threads=8))


def test_a_memory_file_has_its_size_from_the_start() -> None:
    warm: dict[str, Any] = {"warmRestart": {"enabled": True}}
    assert "--memory-limit=64\n" in argument_lines(memcached(**warm))
    assert "--memory-file=/cache/items\n" in argument_lines(memcached(**warm))
    assert digest(memcached(**warm)) != digest(memcached(memory="128Mi", **warm))


def test_pods_find_their_arguments_by_the_sum_of_the_file() -> None:
    text = argument_lines(memcached())
    assert hashlib.sha256(text.encode()).hexdigest().startswith(digest(memcached()))


def refused(word: str) -> bool:
    """Whether one of the rules on `extraArgs`, or the pattern of its words, is against it."""
    patterns = [f"^({pods._OWNED_ARGUMENTS})", f"^({pods._FOREIGN_ARGUMENTS})"]
    try:
        memcached(extraArgs=[word])
    except ValidationError:
        return True
    return any(re.match(pattern, word) for pattern in patterns)


@pytest.mark.parametrize(
    "word",
    [
        *("--port=1", "--por=1", "--memory-l=9", "--thr=8", "--max-item=2m", "--conn", "--pr=binary", "-m9", "-Mm9"),
        *("-Am9", "-WFm9", "-vv", "-Wd", "-U1", "--daemon", "--da", "-F\n--memory-limit=9", "-o\rext_path=/x:1g"),
    ],
)
def test_what_other_fields_decide_cannot_be_set_however_it_is_written(word: str) -> None:
    assert refused(word)


@pytest.mark.parametrize(
    "word",
    [
        *("-F", "-R", "40", "-f1.2", "--listen-backlog=9", "--disable-evictions", "--slab-min-size=48", "--napi-ids=2"),
        *("--extended=hash_algorithm=murmur3", "--enable-shutdown", "--disable-cas", "--max-reqs-per-event=20", "-A"),
        *("--lock-memory", "--enable-largepages", "--enable-coredumps", "--disable-dumping", "-W", "-b", "no_modern"),
    ],
)
def test_what_no_other_field_decides_can(word: str) -> None:
    assert not refused(word)
