"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from bench.peer import Peer

__all__ = ["describe"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("kopf", "kubernetes", "aiohttp", "pydantic")


def describe(built: Peer) -> dict[str, Any]:
    """Return machine, versions, commit and date."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "cpus": os.cpu_count(),
        "cpu": model[1] if model else "",
        "memory_gib": round(int(memory[1]) / 2**20) if memory else 0,
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "versions": {
            "Python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
            "Kubernetes": _output("kube-apiserver", "--version").removeprefix("Kubernetes "),
            "Go": _output("go", "version").split()[2].removeprefix("go"),
            "operator-sdk": re.findall(r'"(v[^"]+)"', _output("operator-sdk", "version"))[0],
            "controller-runtime": built.controller_runtime,
        },
    }


def _output(*command: str) -> str:
    # operator-sdk reads a PROJECT file where it runs, and does not know ours.
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()
