"""The real tools and the golden set, found or missed with a clear message."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GOLDEN = Path(os.environ.get("GOLDEN_DIR", ROOT.parent / "shared" / "golden"))
BUILT_TOOLS = ROOT / ".tools" / "bin"

GOLDEN_CHARTS = ("cert-manager", "external-secrets", "grafana", "kube-green", "strimzi")
GOLDEN_BUNDLES = ("cert-manager", "grafana", "kube-green", "strimzi")


def golden(name: str) -> Path:
    """Return a golden directory; fail, not skip, when the set is not there."""
    path = GOLDEN / name
    if not path.is_dir():
        pytest.fail(f"{path} is missing: set GOLDEN_DIR to the directory of the golden set (default: {GOLDEN})")
    return path


def tool(name: str) -> str:
    """Return the path of a tool from .tools/bin or PATH; fail when it is nowhere."""
    found = shutil.which(name, path=f"{BUILT_TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.fail(f"{name} is neither in {BUILT_TOOLS} nor on PATH: run `make tools`")
    return found


def run(
    name: str, *arguments: str, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool and return what it said, whatever its exit code.

    Not in the repository: operator-sdk reads a PROJECT file there and refuses plugins that it does not know.
    """
    return subprocess.run(
        [tool(name), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd or tempfile.gettempdir(),
    )
