"""Which OLM is installed: the pinned release, its own chart, and the images of it that its project publishes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory
from kopf_sdk.testing.tools.pins import Tool, load_pins
from kopf_sdk.testing.tools.toolchain import find_go, go_environment

__all__ = ["Images", "chart", "released_images", "version"]

_MODULE = "github.com/operator-framework/operator-lifecycle-manager"


@dataclass(frozen=True)
class Images:
    """References of what OLM runs.

    Attributes
    ----------
    olm
        olm-operator, catalog-operator and packageserver.
    opm
        What serves catalogs and unpacks bundles.
    """

    olm: str
    opm: str


def version() -> str:
    """The pinned release, as v0.38.0."""
    return _tool("olm").version


def released_images() -> Images:
    """The images that the projects publish, for clusters that can pull them."""
    registry = "quay.io/operator-framework"
    return Images(f"{registry}/olm:{version()}", f"{registry}/opm:{_tool('opm').version}")


def chart() -> Path:
    """Folder of the chart that OLM's Go module carries, taken out of it once and given the release's version.

    Raises
    ------
    SdkError
        The module cannot be had: with what Go said.
    """
    target = cache_directory() / "olm" / version() / "chart"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            fresh = Path(folder) / "chart"
            shutil.copytree(_module() / "deploy" / "chart", fresh, copy_function=shutil.copyfile)
            about = fresh / "Chart.yaml"
            # Installed objects and the CSV of packageserver tell this version; in the module it is 0.0.0-dev.
            about.write_text(about.read_text().replace("0.0.0-dev", version().removeprefix("v")))
            try:
                fresh.rename(target)
            except OSError:  # somebody else was faster
                if not target.is_dir():
                    raise
    return target


def _tool(name: str) -> Tool:
    return load_pins().tools[name]


def _module() -> Path:
    tool = _tool("olm")
    go = find_go(tool.go, load_pins().directory, say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    command = [str(go), "mod", "download", "-json", _MODULE]
    done = subprocess.run(
        command, cwd=tool.module, env=go_environment(), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise SdkError(
            f"the chart of OLM {tool.version} cannot be had: go mod download: {(done.stderr or done.stdout).strip()}",
            hint="is the Go module proxy reachable? `go env GOPROXY` says which one it is",
        )
    return Path(json.loads(done.stdout)["Dir"])
