"""Side by side with operator-sdk's Go sample: `make bench [N=1000] [OUT=dir]`.

    PYTHONPATH=sdk:operator:tests:demo python -m bench [--resources 100,1000] [--output dir] [--only load,care,…]

Writes bench.json and bench.svg; `python -m bench.page` makes docs/performance.md of it. Ours and the peer take turns on
one control plane, inside its network; everything is taken down at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import machine, peer, programs
from bench.arena import PER_NAMESPACE, Arena, arena
from bench.bundles import bundles
from bench.care import care
from bench.failover import failover
from bench.floor import floor
from bench.load import throughput
from bench.node import first_answer
from bench.page import pictures
from bench.sides import Side, sides
from bench.stock import stock
from bench.summary import show
from bench.verdicts import verdicts
from kopf_sdk.errors import SdkError

SIDES = ("ours", "shape", "tuned", "shipped")
PARTS = ("load", "floor", "stock", "care", "failover", "start", "bundles", "node")
ROUNDS = 2
"""Of each side and size, for small sizes."""
LARGE = 1000
"""From here on one round: the part `care` is the second. Beyond it the sample as shipped is left out."""
OTHERS = 1000
"""Resources created while drift is repaired."""


class Report(dict[str, Any]):
    """What is known so far; told and written as soon as it is known."""

    def __init__(self, path: Path, *, add: bool) -> None:
        super().__init__(json.loads(path.read_text()) if add and path.exists() else {})
        self._path = path

    def note(self, what: str, figures: Any) -> None:
        """Say what came out of a part, and keep everything on disk."""
        seconds = time.strftime("%H:%M:%S")
        print(f"{seconds} {what}: {json.dumps(rounded(figures))}", file=sys.stderr, flush=True)
        self._path.write_text(json.dumps(rounded(self), indent=1, sort_keys=True) + "\n")


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", default="100,1000", help="how many at once, separated by commas")
    parser.add_argument("--output", type=Path, default=Path("dist/bench"), help="directory for bench.json")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run, of {', '.join(PARTS)}")
    parser.add_argument("--sides", default=",".join(SIDES), help=f"who is loaded, of {', '.join(SIDES)}")
    parser.add_argument(
        "--per-namespace", type=int, default=PER_NAMESPACE, help="resources of a namespace (%(default)s)"
    )
    parser.add_argument("--add", action="store_true", help="keep what bench.json has of other parts, sizes and sides")
    options = parser.parse_args()
    sizes = sorted({int(text) for text in options.resources.split(",")})
    parts = options.only.split(",")
    if sizes[0] < 1 or options.per_namespace < 1:
        parser.error("--resources, --per-namespace: 1 at least")
    for flag, given, known in (("--only", parts, PARTS), ("--sides", options.sides.split(","), SIDES)):
        if unknown := sorted(set(given) - set(known)):
            parser.error(f"{flag}: {', '.join(unknown)}: not one of {', '.join(known)}")
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report(options.output / "bench.json", add=options.add)
    started = time.monotonic()
    built = peer.build()
    report["machine"] = machine.describe(built)
    found = sides(built)
    report["titles"] = {side.name: side.title for side in found.values()}
    errors: list[str] = []

    @contextlib.contextmanager
    def part(name: str) -> Iterator[None]:
        """One part's failure leaves the others their chance, and the exit code says it."""
        try:
            yield
        except (SdkError, OSError) as error:
            traceback.print_exc()
            errors.append(f"{name}: {error}")

    with tempfile.TemporaryDirectory(prefix="kopf-sdk-bench-") as folder:
        if {"load", "floor", "stock", "care", "failover", "start"}.intersection(parts):
            with (
                part("control plane"),
                arena(name(), Path(folder), found.values(), per_namespace=options.per_namespace) as place,
            ):
                if "start" in parts:
                    with part("start"):
                        report["start"] = programs.start_up(place, found)
                        report.note("start", report["start"])
                if "load" in parts:
                    with part("load"):
                        load(place, [found[name] for name in options.sides.split(",")], sizes, report)
                if "floor" in parts:
                    with part("floor"):
                        report["floor"] = floor(place, found["ours"], min(sizes[-1], LARGE), "floor")
                        report.note("floor", report["floor"])
                if "stock" in parts:
                    with part("stock"):
                        report["stock"] = stock(place, list(found.values()), min(sizes[-1], LARGE), ROUNDS)
                        report.note("stock", report["stock"])
                if "care" in parts:
                    report["care"] = {}
                    cared_for = max(min(sizes[-1], LARGE), 100)
                    for side in (found["ours"], found["tuned"]):
                        with part(f"care {side.name}"):
                            report["care"][side.name] = care(
                                place, side, cared_for, min(OTHERS, 3 * cared_for), f"care-{side.name}"
                            )
                            report.note(f"care {side.name}", report["care"][side.name])
                if "failover" in parts:
                    report["failover"] = {}
                    for side in (found["ours"], found["tuned"]):
                        for number in (signal.SIGTERM, signal.SIGKILL):
                            with part(f"failover {side.name}"):
                                key = f"{side.name} {number.name}"
                                report["failover"][key] = failover(
                                    place, side, number, f"{side.name}-{number.name.lower()}"
                                )
                                report.note(f"failover {key}", report["failover"][key])
        if "bundles" in parts:
            with part("bundles"):
                report["bundles"] = bundles(Path(folder))
                report.note("bundles", report["bundles"])
        if "start" in parts:
            with part("weights"):
                report["weights"] = programs.weights(built)
                report.note("weights", report["weights"])
        if "node" in parts:
            with part("node"):
                report["node"] = first_answer(f"{name()}-node", Path(folder), found)
                report.note("node", report["node"])
    report["errors"] = errors
    report["took_seconds"] = report.get("took_seconds", 0) + time.monotonic() - started
    report["verdicts"] = [verdict.to_json() for verdict in verdicts(report)]
    report.note("errors", errors)
    if (overview := pictures(report).get("throughput")) is not None:
        (options.output / "bench.svg").write_text(overview[1])
    show(report, Console())
    return bool(errors)


def load(arena: Arena, sides: Sequence[Side], sizes: Sequence[int], report: Report) -> None:
    """Every side in turn, for every size."""
    again = {(side.name, resources) for side in sides for resources in sizes}
    kept = [run for run in report.get("load", ()) if (run["side"], run["resources"]) not in again]
    report["load"] = kept
    for resources in sizes:
        for number in range(ROUNDS if resources < LARGE else 1):
            for side in sides:
                if side.name == "shipped" and resources > LARGE:
                    continue
                figures = throughput(arena, side, resources, f"{side.name}-{resources}-{number}")
                report["load"].append({"side": side.name, "round": number, **figures})
                report.note(f"load {side.name} {resources}", figures)


def rounded(value: Any) -> Any:
    """Return figures with as many digits as mean something."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def name() -> str:
    """The cluster's name: one's own, so that two runs do not meet."""
    return os.environ.get("BENCH_CLUSTER", f"bench-{os.getpid()}")


if __name__ == "__main__":
    sys.exit(main())
