"""What memcached is started with, and under which name pods find it."""

from __future__ import annotations

import hashlib
from typing import Any

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
