"""`make cache-drill`: everything that is done to a cache in its life, and what that costs, counted.

A client reads and writes all the time. The same is done to a Deployment as operator-sdk's sample makes it. Exit code 1
when a promise of the operator was not kept.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from demo_images import Images, build_images
from drill_report import HANDED_OVER, NOTHING, Row, document, shortfalls, table
from drill_sides import OperatedCache, SampleCache, Side, eventually
from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.progress import ConsoleProgress, Progress
from kopf_sdk.testing.images import base_image, reference
from kopf_sdk.testing.tools import ensure
from memcached_demo import Demo, failures_told

__all__ = ["main"]

OPERATED, SAMPLE = "cache-drill", "cache-drill-sample"
OLDER, OLDEST = "memcached-trixie", "memcached-bookworm"
QUIET = 2.0
"""Seconds that the client goes on for when an action is done, so that what comes late is seen too."""


class Drill:
    """Does things to one side and notes what they cost."""

    def __init__(self, side: Side, progress: Progress) -> None:
        self._side, self._progress = side, progress
        self.rows: list[Row] = []

    def measure(
        self,
        action: str,
        do: Callable[[], object],
        *,
        may_lose: float | None = None,
        note: Callable[[], str] = str,
    ) -> None:
        """Have all items there, do it, and count."""
        ask, side = self._side.application.ask, self._side
        with self._progress.step(action):
            ask("fill")
            before, pods = ask("count"), side.pods()
            ask("tally_up")
            started = time.monotonic()
            do()
            seconds = time.monotonic() - started
            time.sleep(QUIET)
            seen, after = ask("tally_up"), ask("count")
        uids = {name: pod["metadata"]["uid"] for name, pod in pods.items()}
        now = side.pods()
        same = [name for name, pod in now.items() if uids.get(name) == pod["metadata"]["uid"]]
        restarts = sum(
            _restarts(now[name]) > _restarts(pods[name]) or _process(after, name) != _process(before, name)
            for name in same
        )
        self.rows.append(
            Row(
                action,
                seconds,
                before["items"],
                after["items"],
                new_pods=len(now) - len(same),
                restarts=restarts,
                may_lose=may_lose,
                note=note(),
                **seen,
            )
        )


def operated(cache: OperatedCache, images: Images, upgrade: Callable[[], None], progress: Progress) -> list[Row]:
    """Do everything to a cache that the operator looks after."""
    drill = Drill(cache, progress)
    version = reference("memcached").rpartition(":")[2]
    older, oldest = (reference(name).rpartition(":")[2] for name in (OLDER, OLDEST))

    def new_password() -> None:
        with cache.rotation():
            cache.users(alice="wonderland", bob="builder")
        cache.application.ask("configure", login="bob builder")
        with cache.rotation():
            cache.users(bob="builder")

    def new_certificate() -> None:
        with cache.rotation():
            cache.new_certificate()

    def scale() -> None:
        cache.change(size=5)
        cache.application.ask("configure", servers=cache.servers())
        time.sleep(QUIET)
        elsewhere.append(cache.application.ask("count")["items"])
        cache.application.ask("configure", servers=cache.servers()[:3])
        cache.change(size=3)

    def drain() -> None:
        name = "drill-1"
        uid = cache.pods()[name]["metadata"]["uid"]
        cache.evict(name)
        eventually(lambda: cache.pods().get(name, {"metadata": {"uid": uid}})["metadata"]["uid"] != uid, "it is back")
        cache.settle()

    elsewhere: list[int] = []
    drill.measure("grow memory ×4", lambda: cache.change(memory="256Mi"), may_lose=NOTHING, note=lambda: "in place")
    drill.measure("rotate the certificate", new_certificate, may_lose=NOTHING, note=lambda: "in place")
    drill.measure("rotate the password", new_password, may_lose=NOTHING, note=lambda: "old and new side by side")
    drill.measure(
        f"turn on warm restarts, with {older}",
        lambda: cache.change(image=reference(OLDER), warmRestart={"enabled": True, "handover": True}),
        may_lose=HANDED_OVER,
        note=lambda: "handed over",
    )
    drill.measure(
        f"upgrade memcached {older} → {version}",
        lambda: cache.change(image=images.memcached),
        may_lose=NOTHING,
        note=lambda: "warm, in the same pods",
    )
    drill.measure(
        f"downgrade memcached {version} → {oldest}",
        lambda: cache.change(image=reference(OLDEST)),
        may_lose=HANDED_OVER,
        note=lambda: "handed over",
    )
    drill.measure(
        "threads 4 → 2", lambda: cache.change(threads=2), may_lose=NOTHING, note=lambda: "warm, in the same pods"
    )
    drill.measure(
        "scale 3 → 5 → 3",
        scale,
        may_lose=NOTHING,
        note=lambda: f"with 5, {1 - elsewhere[0] / cache.application.ask('count')['items']:.0%} of the keys moved",
    )
    drill.measure("drain: one pod evicted", drain, note=lambda: "the items of that pod go with it")
    drill.measure("upgrade the operator", upgrade, may_lose=NOTHING, note=lambda: "pods wait until the resource asks")
    return drill.rows


def sampled(cache: SampleCache, images: Images, progress: Progress) -> list[Row]:
    """Do the same to a Deployment, by hand."""
    drill = Drill(cache, progress)
    older, oldest = reference(OLDER), reference(OLDEST)

    def scale() -> None:
        cache.scale(5)
        cache.scale(3)

    def drain() -> None:
        gone = min(cache.pods())
        cache.evict(gone)
        eventually(lambda: gone not in cache.pods(), "it is gone")
        cache.settle()

    drill.measure("grow memory ×4", lambda: cache.edit(command=cache.arguments(256)))
    drill.measure("rotate the certificate", cache.restart, note=lambda: "rollout restart, for want of anything else")
    drill.measure("rotate the password", cache.restart, note=lambda: "likewise")
    drill.measure(f"downgrade memcached → {older.rpartition(':')[2]}", lambda: cache.edit(image=older))
    drill.measure(
        f"upgrade memcached → {images.memcached.rpartition(':')[2]}", lambda: cache.edit(image=images.memcached)
    )
    drill.measure(f"downgrade memcached → {oldest.rpartition(':')[2]}", lambda: cache.edit(image=oldest))
    drill.measure("threads 4 → 2", lambda: cache.edit(command=cache.arguments(256, 2)))
    drill.measure("scale 3 → 5 → 3", scale, note=lambda: "any pod may be the one that goes")
    drill.measure("drain: one pod evicted", drain)
    return drill.rows


@click.command()
@click.option("--items", default=30_000, show_default=True, help="How many items are counted.")
@click.option("--name", default="cache-drill", show_default=True, help="Name of the local cluster.")
@click.option("--keep", is_flag=True, help="Leave the cluster running.")
@click.option("--sample/--no-sample", default=True, help="Do the same to operator-sdk's sample, for comparison.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def main(*, items: int, name: str, keep: bool, sample: bool, output: str) -> None:
    """Count what a cache loses over its life."""
    console = Console(stderr=True, soft_wrap=True)
    cluster = Cluster(name)
    try:
        with failures_told(console):
            sides = run(cluster, ConsoleProgress(console), console, items=items, sample=sample)
    finally:
        if not keep:
            cluster.down()
    problems = shortfalls(sides["operator"])
    if output == "json":
        click.echo(json.dumps(document(sides, problems), indent=2))
    else:
        show(sides, items)
    for problem in problems:
        console.print(f"[bold red]not as promised:[/] {escape(problem)}", highlight=False)
    sys.exit(bool(problems))


def run(cluster: Cluster, progress: Progress, console: Console, *, items: int, sample: bool) -> dict[str, Any]:
    """Have a cluster with the operator, and drill both sides."""
    ensure(["node", "helm"], console=console)
    cluster.up(Size.NODE, progress)
    images = build_images(progress)
    newer = Images(f"{images.operator}-newer", reference(OLDEST))
    with progress.step("images loaded into the node"):
        cluster.load_images([*images.archives, *(base_image(name) for name in (OLDER, OLDEST))])
        cluster.tag_image(images.operator, newer.operator)
    demo = Demo(cluster, console)
    demo.install(images)
    for namespace in (OPERATED, SAMPLE):
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found")
        cluster.create_namespace(namespace)
    cache = OperatedCache(cluster, OPERATED, images.operator, items)
    with progress.step("Memcached of 3 pods with TLS, users and metrics"):
        cache.create(size=3, memory="64Mi", image=images.memcached, warmRestart={"handover": True})

    def upgrade() -> None:
        demo.install(newer)
        eventually(lambda: "newer operator" in cache.condition("Progressing").get("message", ""), "it is taken over")

    sides = {"operator": operated(cache, images, upgrade, progress)}
    cluster.kubectl("delete", "namespace", OPERATED)
    if sample:
        other = SampleCache(cluster, SAMPLE, images.operator, items)
        with progress.step("Deployment of 3 pods"):
            other.create(images.memcached)
        sides["sample"] = sampled(other, images, progress)
        cluster.kubectl("delete", "namespace", SAMPLE)
    return sides


def show(sides: dict[str, list[Row]], items: int) -> None:
    """Print the tables."""
    console = Console()
    console.print(table(f"3 pods, {items} items, a client that tries again", sides["operator"]))
    if "sample" in sides:
        console.print(table("The same with operator-sdk's sample: a Deployment, edited by hand", sides["sample"]))
        console.print("The sample's operator sets the number of pods and nothing else: its upgrade changes no pod.")


def _restarts(pod: dict[str, Any]) -> int:
    statuses = pod["status"].get("containerStatuses", [])
    return sum(status["restartCount"] for status in statuses if status["name"] == "memcached")


def _process(counted: dict[str, Any], pod: str) -> str:
    """Return what the client says of the process in a pod; empty where servers are known by address."""
    found = (process for server, process in counted["processes"].items() if server.startswith(f"{pod}."))
    return str(next(found, ""))


if __name__ == "__main__":
    main()
