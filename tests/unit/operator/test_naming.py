"""Names tell what is the resource's own."""

from __future__ import annotations

import pytest

from memcached_operator.naming import is_pod, pod_names
from unit.operator.factory import memcached


@pytest.mark.parametrize("name", ["cache-0-debug", "cache-debug", "cache-debug-1", "cache-", "cache", "cache2-0", "0"])
def test_a_copy_of_a_pod_with_the_labels_of_the_cache_is_none_of_its_pods(name: str) -> None:
    """`kubectl debug --copy-to=cache-0-debug --keep-labels`: it has no ordinal and must not count."""
    assert not is_pod(memcached(), name)


def test_pods_of_the_stateful_set_are_known_by_their_names() -> None:
    assert all(is_pod(memcached(), name) for name in [*pod_names(memcached(size=3)), "cache-10"])
