"""The bundle builder beside operator-sdk's: seconds and memory, on the golden charts and on ours."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path
from typing import Any

from bench import bundle_report

__all__ = ["bundles"]

ROOT = Path(__file__).parents[2]
RUNS = 3
OURS = "memcached-operator"


def bundles(folder: Path) -> dict[str, Any]:
    """Build every chart's bundle both ways, alternating; return medians per chart."""
    charts = {OURS: _render(folder / "rendered")}
    if bundle_report.GOLDEN.is_dir():
        charts |= {
            path.name: path for path in sorted(bundle_report.GOLDEN.iterdir()) if (path / "rendered.yaml").is_file()
        }
    return {name: _compare(name, chart, folder / "bundles" / name) for name, chart in charts.items()}


def _compare(name: str, chart: Path, folder: Path) -> dict[str, Any]:
    ours, theirs = bundle_report.commands(name, chart, folder)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(RUNS):
        runs["ours"].append(bundle_report.timed(ours, chart / "rendered.yaml", folder, required=True))
        runs["theirs"].append(bundle_report.timed(theirs, chart / "rendered.yaml", folder / "theirs", required=False))
    return {
        side: {key: statistics.median(run[key] for run in found) for key in found[0]} for side, found in runs.items()
    }


def _render(folder: Path) -> Path:
    """Have our chart as the golden ones are: rendered, beside its Chart.yaml."""
    folder.mkdir()
    chart = ROOT / "charts" / OURS
    done = subprocess.run(
        ["helm", "template", OURS, str(chart), "--no-hooks", "--kube-version", "1.34.0"],
        capture_output=True,
        check=True,
    )
    (folder / "rendered.yaml").write_bytes(done.stdout)
    shutil.copy(chart / "Chart.yaml", folder)
    return folder
