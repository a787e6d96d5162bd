"""What the page says follows from the JSON, and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.capacity import capacity
from bench.figures import slower
from bench.page import main, pages
from bench.summary import show
from bench.verdicts import verdicts

DOCS = Path(__file__).parents[3] / "docs"
FLOOR = {"resources": 1000, "resources_per_second": 100.0, "children_per_resource": 6}


def run(side: str, resources: int, seconds: float, children: int, cpu: float) -> dict[str, Any]:
    return {
        "side": side,
        "resources": resources,
        "resources_per_second": resources / seconds,
        "children_per_resource": children,
        "writes_per_resource": children + 2,
        "cpu_ms_per_child": cpu,
        "cpu_converged": resources * 0.02,
        "control_plane_cpu": {"kube-apiserver": resources * 0.1, "kube-controller-manager": resources**2 / 25_000},
        "rss_empty_mb": 90.0,
        "rss_mb": 90.0 + resources * 0.05,
        "rss_kb_per_resource": 50.0,
        "json_bytes_per_resource": 14_000.0,
        "etcd_bytes_per_resource": 40_000.0,
        "relist": {"bytes": resources * 14_000.0, "metadata_bytes": resources * 1_000.0, "seconds": 1.0},
    }


def report(**changes: Any) -> dict[str, Any]:
    made = run("ours", 1000, 20, 6, 3.0)
    return {
        "machine": {
            "date": "2026-01-01 00:00 UTC",
            "commit": "abc",
            "cpus": 2,
            "cpu": "CPU",
            "memory_gib": 8,
            "kernel": "6",
            "load_before": 0.1,
            "versions": {"Python": "3.11"},
        },
        "titles": {"ours": "Ours", "shape": "Shape", "tuned": "Tuned", "shipped": "Shipped"},
        "load": [
            made,
            run("ours", 5000, 110, 6, 3.0),
            run("shape", 1000, 10, 1, 5.0),
            run("tuned", 1000, 22, 1, 9.0),
            run("shipped", 1000, 50, 1, 9.0),
        ],
        "care": {
            "ours": {
                "made": made,
                "rest": {"rss_mb": 140.0},
                "restart": {"writes": 0, "cpu": 4.0, "settled_seconds": 5.0},
                "repair_idle": {"p50_ms": 10.0, "p99_ms": 20.0},
                "repair_loaded": {"p50_ms": 100.0, "p99_ms": 1200.0},
            },
            "tuned": {"made": run("tuned", 1000, 22, 1, 9.0), "rest": {"rss_mb": 64.0}},
        },
        "start": {"ours": {"ready_seconds": 1.0, "cpu": 1.0, "rss_mb": 90.0}, "tuned": {"rss_mb": 50.0}},
        **changes,
    }


def verdict(name: str, found: dict[str, Any]) -> tuple[float | None, bool | None]:
    one = next(one for one in verdicts(found) if one.target.startswith(name))
    return one.value, one.met


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("resources per second, ours : tuned", 1.1, True),
        ("resources per second, ours : sample as shipped", 2.5, True),
        ("resources per second, one child", 2.2, True),
        ("time per resource", 1.1, False),
        ("operator CPU per child", 1 / 3, True),
        ("writes per resource beside", 2, True),
        ("writes of a restart", 0, True),
        ("repair, p99", 20, True),
        ("repair while others", 1200, False),
        ("a stopped leader", None, None),
    ],
)
def test_a_target_is_met_missed_or_not_measured(name: str, value: float | None, met: bool | None) -> None:
    found, verdict_ = verdict(name, report())
    assert (None if found is None else pytest.approx(found), verdict_) == (value, met)


def test_every_large_size_is_judged() -> None:
    both = report(load=[*report()["load"], run("tuned", 5000, 100, 1, 9.0)])
    found = [(one.on, one.met) for one in verdicts(both) if one.target.startswith("resources per second, ours : tuned")]
    assert found == [("N=1,000", True), ("N=5,000", False)]


def test_nothing_is_claimed_of_a_run_that_measured_nothing() -> None:
    empty = {**report(), "load": [], "care": {}, "start": {}}
    assert {one.met for one in verdicts(empty)} == {None}
    assert capacity(empty, 50_000) is None
    assert "Not calculated" in pages(empty)["performance.md"]


def test_a_hundred_resources_are_too_few_to_calculate_with() -> None:
    few = report()
    few["care"]["ours"]["made"] = run("ours", 100, 2, 6, 3.0)
    assert capacity(report(), 50_000) is not None
    assert capacity(few, 50_000) is None


def test_the_page_says_how_the_resources_are_spread() -> None:
    assert "are in one namespace." in pages(report())["performance.md"]
    spread = [{**one, "namespaces": one["resources"] // 100} for one in report()["load"]]
    assert "spread over namespaces, 100 in each." in pages(report(load=spread))["performance.md"]


def test_the_page_says_how_much_the_control_plane_alone_takes() -> None:
    text = pages(report(floor=FLOOR))["performance.md"]
    assert "come to 100 resources per second (N=1,000). That is 2.20 × the tuned sample" in text
    assert "ours reaches 0.50 of it" in text
    assert "How far throughput can go" not in pages(report())["performance.md"]


def test_the_page_says_who_spends_more_when_there_are_more() -> None:
    text = pages(report())["performance.md"]
    assert "spends 20.0 CPU seconds per 1,000 resources until they have converged (20.0 before), the API" in text
    assert "server 100 (100), and the controllers behind it 200 (40.0)" in text
    assert "Within that run" not in text
    assert "The tuned sample takes" not in text
    steady = report(load=[{**one, "fifths_per_second": [12.0, 18.0, 20.0, 20.0, 20.0]} for one in report()["load"]])
    assert "one fifth after the other converged at 12.0, 18.0, 20.0, 20.0, 20.0 per" in pages(steady)["performance.md"]
    both = report(load=[*report()["load"], run("tuned", 5000, 121, 1, 9.0)])
    assert "The tuned sample takes 1.10 × the time per resource there." in pages(both)["performance.md"]
    small = report()
    small["load"] = [run for run in small["load"] if run["resources"] == 1000]
    assert "CPU seconds per 1,000 resources until they have converged" not in pages(small)["performance.md"]


def test_the_page_says_what_becomes_of_the_ratios_with_kubernetes_own_limits() -> None:
    rates = {"ours": (20.0, 30.0, 22.0), "shape": (80.0,), "tuned": (40.0,), "shipped": (10.0,)}
    cpu = {"cpu_seconds_per_1000": 9.0, "control_plane_cpu_per_1000": 50.0}
    runs = [{"side": side, "resources_per_second": rate, **cpu} for side, found in rates.items() for rate in found]
    text = pages(report(floor=FLOOR, stock={"resources": 1000, "runs": runs}))["performance.md"]
    assert "There ours makes 0.55 × the resources per second of the tuned sample and 2.20 × those of the" in text
    assert "and 2.00 × the tuned sample's with one child" in text
    assert "| resources per second | 22.0 | 80.0 | 40.0 | 10.0 |" in text
    assert "There ours makes" not in pages(report(floor=FLOOR))["performance.md"]


def test_what_the_sample_does_better_is_named() -> None:
    assert ("RSS, MB (Start with nothing to look after)", 90.0, 50.0) in slower(report())
    assert "RSS, MB (Start with nothing to look after): 90.0 to 50.0" in pages(report())["performance.md"]


def test_many_resources_are_calculated_from_the_slopes_and_shared_among_shards() -> None:
    one, two = capacity(report(), 50_000), capacity(report(), 50_000, shards=2)
    assert one is not None
    assert two is not None
    assert one.rss_mb == pytest.approx(90 + 50 * 50)
    assert two.rss_mb == pytest.approx(90 + 50 * 25)
    assert one.start_seconds == pytest.approx(1 + 50_000 * 4 / 1000)
    assert one.start_mb == pytest.approx(50_000 * 14_000 / 1e6)
    assert one.resync_percent == pytest.approx(50_000 * 3e-3 / 600 * 100)
    assert one.etcd_mb == two.etcd_mb == pytest.approx(2000)


def test_plots_are_well_formed_and_the_same_figures_give_the_same_bytes() -> None:
    files = pages(report())
    assert files == pages(json.loads(json.dumps(report())))
    plots = [text for name, text in files.items() if name.endswith(".svg")]
    assert len(plots) >= 4
    for text in plots:
        ElementTree.fromstring(text)
    assert all(f"({name})" in files["performance.md"] for name in files if name.endswith(".svg"))


def test_people_at_a_terminal_see_every_target() -> None:
    console = Console(record=True, width=200)
    show(report(errors=["node: no pod answers"]), console)
    text = console.export_text()
    assert all(one.target in text for one in verdicts(report()))
    assert "failed: node: no pod answers" in text


def test_the_committed_page_is_made_of_the_committed_figures(tmp_path: Path) -> None:
    assert main([str(DOCS / "performance" / "bench.json"), "--docs", str(tmp_path)]) == 0
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert made == {path: (DOCS / path).read_text() for path in made}
    assert len(made) > 3
