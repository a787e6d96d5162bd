"""The peer: operator-sdk's own memcached sample, scaffolded and built here, as shipped and tuned.

Nothing of it is kept in this repository: `operator-sdk init` and `create api --plugins deploy-image/v1-alpha` write it
into a temporary directory. The tuned one has its client-side limit taken off and 16 concurrent reconciles.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory

__all__ = ["GROUP", "Peer", "build"]

ROOT = Path(__file__).parents[2]
DOMAIN = "peer.example.com"
"""Another group than ours, so that both live on one API server."""
GROUP = f"cache.{DOMAIN}"
WORKERS = 16
HARNESS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cmd/main.go": (
        (
            "\t\tLeaderElection:         enableLeaderElection,\n",
            "\t\tLeaderElection:         enableLeaderElection,\n"
            '\t\tLeaderElectionNamespace: os.Getenv("POD_NAMESPACE"),\n',
        ),
    ),
}
"""What both need to be run beside the API server, out of a pod: they cannot find out where their lease should be."""
TUNING: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cmd/main.go": (
        (
            "\tmgr, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{\n",
            "\tconfig := ctrl.GetConfigOrDie()\n\tconfig.QPS = -1\n"
            "\tmgr, err := ctrl.NewManager(config, ctrl.Options{\n",
        ),
    ),
    "internal/controller/memcached_controller.go": (
        (
            '\t"sigs.k8s.io/controller-runtime/pkg/client"\n',
            '\t"sigs.k8s.io/controller-runtime/pkg/client"\n\t"sigs.k8s.io/controller-runtime/pkg/controller"\n',
        ),
        (
            '\t\tNamed("memcached").\n',
            f'\t\tNamed("memcached").\n\t\tWithOptions(controller.Options{{MaxConcurrentReconciles: {WORKERS}}}).\n',
        ),
    ),
}
"""Per file, the scaffolded text and what it is replaced by."""


@dataclass(frozen=True)
class Peer:
    """The built peer."""

    shipped: Path
    tuned: Path
    crd: str
    """Its CustomResourceDefinition as YAML."""
    controller_runtime: str
    """Version of controller-runtime it is built with."""


def build() -> Peer:
    """Scaffold the sample and build it both ways, unless these very programs did so before.

    Raises
    ------
    SdkError
        A step failed, or the scaffold is not what the tuning expects.
    """
    store = cache_directory() / "bench" / f"peer-{_digest()}"
    if not (store / "complete").exists():
        with tempfile.TemporaryDirectory(prefix="kopf-sdk-bench-") as folder:
            project = Path(folder) / "memcached-operator"
            project.mkdir()
            _scaffold(project)
            replace(project, HARNESS)
            _build(project, store / "peer-shipped")
            replace(project, TUNING)
            _build(project, store / "peer-tuned")
            shutil.copy(project / "config" / "crd" / "bases" / f"{GROUP}_memcacheds.yaml", store / "crd.yaml")
            shutil.copy(project / "go.mod", store / "go.mod")
        (store / "complete").touch()
    return Peer(
        shipped=store / "peer-shipped",
        tuned=store / "peer-tuned",
        crd=(store / "crd.yaml").read_text(),
        controller_runtime=_requirement(store / "go.mod", "controller-runtime"),
    )


def replace(project: Path, changes: Mapping[str, tuple[tuple[str, str], ...]]) -> None:
    """Replace texts of a scaffolded project.

    Raises
    ------
    SdkError
        If a text to be replaced is not there exactly once: operator-sdk's scaffold has changed.
    """
    for name, replacements in changes.items():
        path = project / name
        text = path.read_text()
        for before, after in replacements:
            if text.count(before) != 1:
                raise SdkError(
                    f"the scaffold's {name} does not have the line {before.strip()!r} exactly once",
                    hint="operator-sdk's templates changed: adapt HARNESS or TUNING in tests/bench/peer.py.",
                )
            text = text.replace(before, after)
        path.write_text(text)


INIT = ("operator-sdk", "init", "--domain", DOMAIN, "--repo", f"{DOMAIN}/memcached-operator")
CREATE_API = (
    *("operator-sdk", "create", "api", "--group", "cache", "--version", "v1alpha1", "--kind", "Memcached"),
    *("--plugins", "deploy-image/v1-alpha", "--image", "memcached:1.6-alpine", "--run-as-user", "1001"),
    *("--image-container-command", "memcached,--memory-limit=64,-o,modern,-v"),
    *("--image-container-port", "11211", "--make=false"),
)


def _scaffold(project: Path) -> None:
    for command in (INIT, CREATE_API, ("make", "generate", "manifests")):
        _run(project, *command)


def _build(project: Path, binary: Path) -> None:
    binary.parent.mkdir(parents=True, exist_ok=True)
    _run(project, "go", "build", "-o", str(binary), "./cmd")


def _digest() -> str:
    """Digest everything that decides what is scaffolded and built."""
    digest = hashlib.sha256(repr((INIT, CREATE_API, HARNESS, TUNING)).encode())
    digest.update(_program("operator-sdk").read_bytes())
    digest.update(subprocess.run([_program("go"), "version"], capture_output=True, check=True).stdout)
    return digest.hexdigest()[:16]


def _requirement(go_mod: Path, module: str) -> str:
    line = next(line for line in go_mod.read_text().splitlines() if f"/{module} v" in line)
    return line.split()[1]


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise SdkError(f"{name} is not on PATH", hint="`make tools` builds operator-sdk; Go comes from go.dev.")
    return Path(found)


def _run(project: Path, *command: str) -> None:
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        [str(_program(command[0])), *command[1:]],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SdkError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
