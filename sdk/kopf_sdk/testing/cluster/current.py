"""The user's own cluster, the kubeconfig's current context: used only when it is asked for by name, and confirmed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, Progress
from kopf_sdk.testing.cluster.state import Size, state_root, write_atomic

__all__ = ["CurrentCluster", "Which", "target_cluster"]


class Which(StrEnum):
    """Whose cluster."""

    LOCAL = "local"
    CURRENT = "current"


class CurrentCluster(Kubectl):
    """The cluster of the current context, pinned: switching the context later does not change what this object means.

    Raises
    ------
    SdkError
        There is no kubectl, no kubeconfig or no current context.
    """

    def __init__(self) -> None:
        view = _view()
        self._document = view
        self.context = str(view["current-context"])
        self.server = str(view["clusters"][0]["cluster"]["server"])
        digest = hashlib.sha256(self.context.encode()).hexdigest()[:8]
        self._path = state_root().parent / f"current-{digest}.kubeconfig"

    @property
    def name(self) -> str:
        return self.context

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with this context alone, made when it is asked for."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(self._document, indent=2) + "\n")
        return self._path

    def _kubectl_program(self) -> str:
        return _kubectl()

    def confirm(self, *, assume_yes: bool, ask: Callable[[str], bool] | None) -> None:
        """Let the user agree to this cluster.

        Parameters
        ----------
        ask
            Puts a question to a person; None when there is no terminal.

        Raises
        ------
        SdkError
            Nobody agreed.
        """
        if assume_yes:
            return
        if ask is None:
            raise SdkError(
                f"not touching the cluster of context '{self.context}' ({self.server}) without a confirmation",
                hint="add --yes if it is the right one; leave CLUSTER away to use a local cluster",
            )
        if not ask(f"Use the cluster of context '{self.context}' ({self.server})?"):
            raise SdkError(
                f"context '{self.context}' was not confirmed", hint="kubectl config use-context selects another"
            )

    def forget(self) -> None:
        """Delete the pinned kubeconfig; the cluster is left alone."""
        self._path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise an SdkError when the API server does not answer."""
        self.kubectl("get", "--raw", "/readyz", timeout=20)

    def load_images(self, archives: Sequence[Path]) -> dict[str, str]:
        """Refuse: there is no way into the nodes of an arbitrary cluster."""
        raise SdkError(
            f"images cannot be loaded into the cluster of context '{self.context}'",
            hint="push them to a registry that its nodes can pull from, and give that name as IMG",
        )


def target_cluster(
    which: Which | str = Which.LOCAL,
    *,
    name: str = "dev",
    size: Size = Size.NODE,
    assume_yes: bool = False,
    ask: Callable[[str], bool] | None = None,
    progress: Progress = SILENT,
) -> Cluster | CurrentCluster:
    """The cluster to work on, ready: a local one that is brought up when needed, or the user's own.

    Both have `kubeconfig`, `context`, `kubectl`, `get`, `apply` and `load_images` (which the user's own refuses).

    Parameters
    ----------
    which
        Normally the value of the environment variable CLUSTER.
    ask
        Puts the question whether the user's own cluster is meant; None when there is no terminal.

    Raises
    ------
    SdkError
        It cannot be brought up, does not answer, or was not confirmed.
    """
    if Which(which) is Which.LOCAL:
        local = Cluster(name)
        local.up(size, progress)
        return local
    current = CurrentCluster()
    current.confirm(assume_yes=assume_yes, ask=ask)
    with progress.step(f"context {current.context} answers"):
        current.check()
    return current


def _kubectl() -> str:
    """The user's kubectl, which has the plugins that their credentials may need; else the pinned one."""
    if found := shutil.which("kubectl"):
        return found
    from kopf_sdk.testing.tools import binary  # noqa: PLC0415 (slow to import)

    return str(binary("kubectl"))


def _view() -> dict[str, Any]:
    # The environment is the user's: KUBECONFIG may list several files, which kubectl knows how to merge.
    command = [_kubectl(), "config", "view", "--minify", "--flatten", "--raw", "-o", "json"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdkError(
            f"there is no current context to use: {done.stderr.strip()}",
            hint="kubectl config use-context selects one; leave CLUSTER away to use a local cluster",
        )
    view: dict[str, Any] = json.loads(done.stdout)
    return view
