"""How long kubectl may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError


class Slow(Kubectl):
    """A kubectl that takes half a second for everything."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "kubectl"
        self._program.write_text("#!/bin/sh\nexec sleep 0.5\n")
        self._program.chmod(0o755)

    @property
    def kubeconfig(self) -> Path:
        return Path("/dev/null")

    def _kubectl_program(self) -> str:
        return str(self._program)


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(KubectlError, match="kubectl wait pod/x: no end after 0 s"):
        Slow(tmp_path).kubectl("wait", "pod/x", timeout=0.1)


def test_kubectl_may_take_as_long_as_it_was_told_to(tmp_path: Path) -> None:
    assert Slow(tmp_path).kubectl("wait", "pod/x", "--timeout=60s", timeout=0.1) == ""
