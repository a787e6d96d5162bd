"""docs/performance.md and its plots from a bench.json: `python -m bench.page bench.json [--docs docs]`.

The JSON is copied beside the plots, so that the page can be made again; the same JSON gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import plots
from bench.capacity import ETCD_QUOTA, Capacity, capacity
from bench.figures import Report, Table, load, number, sizes, slower, stock, tables
from bench.verdicts import LARGE, Verdict, verdicts

__all__ = ["main", "pages"]

ROOT = Path(__file__).parents[2]
BEYOND = 50_000
SHARDS = (1, 2, 5, 10)
PER_OPERATOR = (
    ("memory, MB", "rss_mb"),
    ("start until all was looked at, s", "start_seconds"),
    ("read for that (and for a relist), MB", "start_mb"),
    ("read by the list that finds ghosts, each 10 minutes, MB", "prune_mb"),
    ("resync from memory, at most, % of a core", "resync_percent"),
    ("watch events while all are made, MB", "create_watch_mb"),
)
GIB = 1073.741824
"""In MB."""
MEDIANS = "Medians of the rounds; what was not measured is –."


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the bench.json to show")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where performance.md goes")
    options = parser.parse_args(argv)
    report = json.loads(options.report.read_text())
    (options.docs / "performance").mkdir(exist_ok=True)
    for name, text in pages(report).items():
        (options.docs / name).write_text(text)
    return 0


def pages(report: Report) -> dict[str, str]:
    """Return every file by its path below docs/."""
    images = pictures(report)
    files = {f"performance/{name}.svg": svg for name, (_, svg) in images.items()}
    files["performance/bench.json"] = json.dumps(report, indent=1, sort_keys=True) + "\n"
    files["performance.md"] = "\n".join(_page(report, {name: title for name, (title, _) in images.items()})) + "\n"
    return files


def pictures(report: Report) -> dict[str, tuple[str, str]]:
    """Return plots by name: title and SVG."""
    titles: dict[str, str] = report["titles"]
    found: dict[str, tuple[str, str]] = {}
    measured = sizes(report)
    for name, key, title in (
        ("throughput", "resources_per_second", "Resources per second until all have converged"),
        ("cpu", "cpu_ms_per_child", "Operator CPU per child, milliseconds"),
        ("deletion", "deleted_with_children_seconds", "Seconds to delete all, children included"),
    ):
        groups = [(f"{size:,} at once", {side: load(report, side, size, key) for side in titles}) for size in measured]
        if any(value is not None for _, values in groups for value in values.values()):
            found[name] = (title, plots.bars(title, groups, titles))
    points = {
        side: [(float(size), value) for size in measured if (value := load(report, side, size, "rss_mb")) is not None]
        for side in titles
    }
    if any(len(values) > 1 for values in points.values()):
        title = "Resident memory of the operator, MB"
        found["memory"] = (
            title,
            plots.lines(title, "resources", {side: values for side, values in points.items() if values}, titles),
        )
    care = report.get("care") or {}
    if care:
        title = "Milliseconds until a child is as it should be"
        groups = [
            (name, {side: figures.get(part, {}).get(key) for side, figures in care.items()})
            for name, part, key in (
                ("repaired, p50", "repair_idle", "p50_ms"),
                ("repaired, p99", "repair_idle", "p99_ms"),
                ("under load, p50", "repair_loaded", "p50_ms"),
                ("under load, p99", "repair_loaded", "p99_ms"),
                ("spec changed, p50", "change", "p50_ms"),
                ("spec changed, p99", "change", "p99_ms"),
            )
        ]
        found["latency"] = (title, plots.bars(title, groups, titles))
    return found


def _page(report: Report, images: dict[str, str]) -> Iterator[str]:
    machine = report["machine"]
    yield "# Performance"
    yield ""
    yield (
        "Our operator beside operator-sdk's own Go sample for Memcached, on one API server, taking turns in one run. "
        "This page is made by `python -m bench.page` from [bench.json](performance/bench.json); no figure is typed."
    )
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield (
        f"Measured {machine['date']}, commit {machine['commit']}, on {machine['cpus']} cores ({machine['cpu']}), "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}: operator, load and control plane share them. "
        f"Load average before: {number(machine['load_before'])}{_foreign(report)}."
    )
    yield ""
    yield f"{versions}."
    yield ""
    yield "## What is compared"
    yield ""
    yield from (f"- **{side}**: {title}." for side, title in report["titles"].items())
    yield from _fairness(report)
    yield "## Targets"
    yield ""
    yield from _targets(verdicts(report))
    yield from _growth(report)
    yield from _bound(report)
    yield "## Figures"
    yield ""
    for name in ("throughput", "cpu", "memory", "deletion", "latency"):
        if name in images:
            yield from (f"![{images[name]}](performance/{name}.svg)", "")
    yield MEDIANS
    yield ""
    for table in tables(report):
        yield from _table(table)
    yield "## What is slower"
    yield ""
    yield from _slower(report)
    yield f"## {BEYOND:,} resources"
    yield ""
    yield from _beyond(report)
    yield from _repeat()


def _foreign(report: Report) -> str:
    shares = [run["foreign_cpu_share"] for run in report.get("load") or () if "foreign_cpu_share" in run]
    if not shares:
        return ""
    return f"; other processes took {min(shares):.0%} to {max(shares):.0%} of the machine while it ran"


def _fairness(report: Report) -> Iterator[str]:
    yield ""
    yield (
        "The sample is scaffolded and built when the comparison runs (`operator-sdk init`, `create api --plugins "
        "deploy-image/v1-alpha`), webhooks off. It makes one Deployment per resource; ours makes a StatefulSet, two "
        "Services, ConfigMaps and a Secret. Converged means: the sample's condition Available, which it sets as soon "
        "as it made the Deployment; ours: every child applied and `observedGeneration` current. No kubelet runs, so "
        "that neither waits for pods; the control plane's own controllers do, and share the two cores. "
        f"{_spread(report)}"
    )
    yield ""


def _spread(report: Report) -> str:
    """Say how many resources a namespace has: Kubernetes' own controllers do more for each where there are many."""
    crowds = [run["resources"] / run["namespaces"] for run in report.get("load") or () if "namespaces" in run]
    if not crowds:
        return "All resources of a measurement are in one namespace."
    return f"The resources are spread over namespaces, {max(crowds):,.0f} in each."


def _targets(found: Sequence[Verdict]) -> Iterator[str]:
    yield "| target | wanted | measured | on | |"
    yield "|---|---|---|---|---|"
    for verdict in found:
        sign = "≥" if verdict.at_least else "≤"
        met = {True: "met", False: "**missed**", None: "not measured"}[verdict.met]
        unit = f" {verdict.unit}" if verdict.unit else ""
        value = number(verdict.value) + (unit if verdict.value is not None else "")
        yield f"| {verdict.target} | {sign} {number(verdict.limit)}{unit} | {value} | {verdict.on} | {met} |"
    yield ""


def _growth(report: Report) -> Iterator[str]:
    """Say who spends more per resource when there are more of them."""
    runs = {run["resources"]: run for run in report.get("load") or () if run["side"] == "ours"}
    few, many = LARGE, max(runs, default=0)
    if few not in runs or many <= few:
        return

    def spent(size: int) -> tuple[str, str, str]:
        run = runs[size]
        parts = run["control_plane_cpu"]
        used = (run["cpu_converged"], parts["kube-apiserver"], parts["kube-controller-manager"])
        before, server, controllers = (number(seconds * 1000 / size) for seconds in used)
        return before, server, controllers

    (before, server, controllers), (then, its, theirs) = spent(few), spent(many)
    yield (
        f"With {many:,} instead of {few:,} at once, the operator spends {then} CPU seconds per 1,000 resources until "
        f"they have converged ({before} before), the API server {its} ({server}), and the controllers behind it "
        f"{theirs} ({controllers}). The more there are at once, the more of the controllers' work falls into the time "
        f"that is measured, instead of after it.{_within(runs[many])}{_growth_of_the_sample(report, few, many)}"
    )
    yield ""


def _within(run: Report) -> str:
    """Say whether a run became slower the more resources there were."""
    rates = run.get("fifths_per_second")
    if not rates:
        return ""
    return f" Within that run, one fifth after the other converged at {', '.join(map(number, rates))} per second."


def _growth_of_the_sample(report: Report, few: int, many: int) -> str:
    """Say how the same step changes what the sample takes: what it and ours share is the control plane's."""
    before, then = (load(report, "tuned", size, "resources_per_second") for size in (few, many))
    if not before or not then:
        return ""
    return f" The tuned sample takes {number(before / then)} × the time per resource there."


def _bound(report: Report) -> Iterator[str]:
    """Say how much of the throughput is the operator's to decide."""
    bound = report.get("floor") or {}
    size = bound.get("resources", 0)
    ours, tuned = (load(report, side, size, "resources_per_second") for side in ("ours", "tuned"))
    if not ours or not tuned:
        return
    alone = bound["resources_per_second"]
    yield (
        f"How far throughput can go: the same {bound['children_per_resource']} children, created by a client without "
        f"any operator, custom resource or status, come to {number(alone)} resources per second (N={size:,}). That is "
        f"{number(alone / tuned)} × the tuned sample, whose one Deployment costs the API server and its controllers "
        f"less; ours reaches {number(ours / alone)} of it. Behind a StatefulSet and two Services the control plane "
        "makes nine more requests of its own: a pod, a revision, an event, two Endpoints, two EndpointSlices, two "
        "statuses."
    )
    yield ""
    yield from _with_limits(report)


def _with_limits(report: Report) -> Iterator[str]:
    """Say what becomes of the ratios where the control plane's controllers are as slow as Kubernetes makes them."""
    ours, shape, tuned, shipped = (
        stock(report, side, "resources_per_second") for side in ("ours", "shape", "tuned", "shipped")
    )
    if not (ours and shape and tuned and shipped):
        return
    yield (
        "The targets are measured where the control plane's controllers may send 500 requests a second, so that what "
        "follows from a child (pods, revisions, endpoints) is paid for while the next ones are made. By default "
        f"Kubernetes lets each of them send 20. There ours makes {number(ours / tuned)} × the resources per second of "
        f"the tuned sample and {number(ours / shipped)} × those of the sample as shipped, and "
        f"{number(shape / tuned)} × the tuned sample's with one child as it has."
    )
    yield ""


def _table(table: Table) -> Iterator[str]:
    yield f"### {table.title}"
    yield ""
    yield "| | " + " | ".join(table.columns) + " |"
    yield "|---" + "|---:" * len(table.columns) + "|"
    for row in table.rows:
        yield f"| {row.name} | " + " | ".join(row.cells()) + " |"
    yield ""


def _slower(report: Report) -> Iterator[str]:
    found = slower(report)
    if not found:
        yield "Nothing that was measured."
    else:
        yield "Everything above in which the tuned sample is better, ours first:"
        yield ""
        yield from (f"- {name}: {number(ours)} to {number(theirs)}" for name, ours, theirs in found)
    yield ""
    yield (
        "Why: an interpreter with its libraries starts slower and is larger than a linked binary; JSON is decoded and "
        "encoded where Go uses Protobuf for built-in kinds; one process uses one core, whatever it is given."
    )
    yield ""


def _beyond(report: Report) -> Iterator[str]:
    found = [calculated for shards in SHARDS if (calculated := capacity(report, BEYOND, shards)) is not None]
    if not found:
        yield (
            "Not calculated: this run did not measure what it takes "
            "(1,000 resources, the parts `load`, `care` and `start`)."
        )
        yield ""
        return
    yield (
        f"Calculated from the figures above (`tests/bench/capacity.py`), for operators that share {BEYOND:,} resources "
        "evenly **by namespace**:"
    )
    yield ""
    yield "| per operator | " + " | ".join(f"{one.shards} operator{'s' * (one.shards > 1)}" for one in found) + " |"
    yield "|---" + "|---:" * len(found) + "|"
    for name, key in PER_OPERATOR:
        yield f"| {name} | " + " | ".join(number(getattr(one, key)) for one in found) + " |"
    yield ""
    yield from _advice(found[0])


def _advice(one: Capacity) -> Iterator[str]:
    minutes = one.create_seconds / 60
    yield (
        f"Of the whole cluster: making all of them takes {number(minutes)} minutes at the measured rate, which the "
        f"control plane's two cores bound; etcd grows by {number(one.etcd_mb / 1000)} GB with the history until the "
        "next compaction (its default quota is 2 GiB, 8 is the most that is advised). At rest nothing is read: watches "
        "are renewed from the last version, and the resync works from memory."
    )
    yield ""
    yield "What follows from it:"
    yield ""
    yield (
        "- **etcd is the first limit, not the operator**: raise `--quota-backend-bytes` before some "
        f"{ETCD_QUOTA * GIB / one.etcd_mb * one.resources:,.0f} resources are made at once, or make them in batches "
        "with compactions (every five minutes by default) between."
    )
    yield (
        "- Give the operator the memory of the line above and a third more. Starting is its longest work: two replicas "
        "keep warm caches, so that a failover reads nothing and an upgrade of the operator leaves no gap."
    )
    yield (
        "- **Spread the resources over namespaces**: for every StatefulSet and every pod Kubernetes' own controllers "
        "look through all revisions and all Services of its namespace, so that thousands in one cost the control plane "
        "more than linearly (`--per-namespace` below measures it)."
    )
    yield (
        "- **Shard by namespace** beyond some 10,000 resources: one release of the chart per group of namespaces, each "
        "in a namespace of its own with `watch.namespaces`; memory, starts and watch traffic are divided."
    )
    yield (
        "- **Shard by label** where namespaces cannot be told apart: `--set 'extraArgs={--watch-selector=shard=a}'`, "
        "and `shard notin (a)` for the rest, so that nobody is left out. It divides work and leases, and a relabelled "
        "resource changes hands without being touched; but every operator still caches all children. See "
        "[the runtime](runtime.md#several-operators-on-one-cluster)."
    )
    yield ""


def _repeat() -> Iterator[str]:
    yield "## Repeating it"
    yield ""
    yield "```console"
    yield "$ make bench                        # 100 and 1,000 resources; dist/bench/bench.json, bench.svg"
    yield '$ make bench BENCH_ARGS="--add --only load --resources 5000"   # into the same file'
    yield '$ make bench N=100 BENCH_ARGS="--only load,care"   # of load floor stock care failover start bundles node'
    yield '$ make bench BENCH_ARGS="--only load --per-namespace 1000"   # what a crowded namespace costs'
    yield "$ PYTHONPATH=tests:demo python -m bench.page dist/bench/bench.json"
    yield "```"
    yield ""
    yield (
        "Let nothing else run meanwhile: of a loaded machine, a process with one busy thread (ours) gets less than one "
        "with many (the API server, the sample), and the ratios suffer. Debian as root, two cores, 8 GiB suffice; Go "
        "must be there for the sample. On two free cores 100 and 1,000 resources take some 35 minutes, 5,000 some 25."
    )


if __name__ == "__main__":
    sys.exit(main())
