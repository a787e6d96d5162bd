"""The rights that take a kubelet to be used; and that none was missing in whatever this cluster has seen."""

from __future__ import annotations

import pytest

from e2e.operator.conftest import Cache
from memcached_demo import NAMESPACE
from rights import refused, used

pytestmark = pytest.mark.node


def test_pods_are_made_and_resized_and_nothing_was_forbidden(cache: Cache) -> None:
    deployment = cache.cluster.get("deployment", "-n", NAMESPACE)["items"][0]["spec"]["template"]["spec"]
    user = f"system:serviceaccount:{NAMESPACE}:{deployment['serviceAccountName']}"
    cache.apply()
    cache.settle()
    cache.apply(memory="80Mi")
    cache.settle()
    cache.apply(memory="80Mi", threads=2)
    cache.settle()
    log = cache.cluster.audit_log
    assert {("", "pods", "create"), ("", "pods", "delete"), ("", "pods/resize", "patch")} <= used(log, user)
    assert refused(log, user) == []
