"""How fast a rollout goes: as many pods at a time as may, and the next ones after the last have served long enough."""

from __future__ import annotations

import time
from functools import partial

from integration.operator.conftest import Kubernetes
from waiting import eventually


def settled(kubernetes: Kubernetes) -> dict[str, str]:
    """Make all pods ready; return their UIDs once the operator has nothing to do."""
    size = kubernetes.memcached("cache")["spec"]["size"]
    eventually(lambda: len(kubernetes.pods()) == size)
    kubernetes.make_ready(*kubernetes.pods())
    eventually(lambda: kubernetes.condition("cache", "Progressing").get("reason") == "UpToDate")
    return {name: pod["metadata"]["uid"] for name, pod in kubernetes.pods().items()}


def test_as_many_pods_go_at_a_time_as_may(kubernetes: Kubernetes) -> None:
    strategy = {"maxUnavailable": 2}
    kubernetes.apply("cache", size=3, updateStrategy=strategy)
    old = settled(kubernetes)
    kubernetes.apply("cache", size=3, updateStrategy=strategy, threads=2)
    for name in ("cache-2", "cache-1"):
        eventually(partial(kubernetes.replaced, name, old[name]))
    time.sleep(0.5)  # the third one has this long to go too early
    assert kubernetes.uid("cache-0") == old["cache-0"]
    kubernetes.make_ready("cache-1")
    eventually(partial(kubernetes.replaced, "cache-0", old["cache-0"]))


def test_the_next_pod_goes_after_the_last_served_long_enough(kubernetes: Kubernetes) -> None:
    strategy = {"minReadySeconds": 5}
    kubernetes.apply("cache", size=2, updateStrategy=strategy)
    old = settled(kubernetes)
    kubernetes.apply("cache", size=2, updateStrategy=strategy, threads=2)
    eventually(partial(kubernetes.replaced, "cache-1", old["cache-1"]))
    started = time.monotonic()
    kubernetes.make_ready("cache-1")
    eventually(
        lambda: "Waiting until cache-1 served long enough" in kubernetes.condition("cache", "Progressing")["message"]
    )
    eventually(partial(kubernetes.replaced, "cache-0", old["cache-0"]))
    assert time.monotonic() - started > 4, "a stamp of Kubernetes has whole seconds"
