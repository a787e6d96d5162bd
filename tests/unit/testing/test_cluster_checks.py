"""What is missing is named, with the way to get it, before anything is started."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import checks
from kopf_sdk.testing.cluster.cgroups import Hierarchies
from kopf_sdk.testing.cluster.state import Size
from kopf_sdk.testing.packages import Need


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Need, "met", lambda need: True)
    monkeypatch.setattr(checks, "find_hierarchies", lambda: Hierarchies(v2=Path("/sys/fs/cgroup")))
    monkeypatch.setattr(checks, "_unshare_refused", lambda: "")


@pytest.mark.parametrize("size", list(Size))
def test_a_machine_with_everything_passes(size: Size) -> None:
    checks.check_machine(size)


def test_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SdkError, match="needs root") as caught:
        checks.check_machine(Size.CONTROL_PLANE)
    assert caught.value.hint is not None
    assert "sudo" in caught.value.hint


def test_all_missing_packages_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Need, "met", lambda need: need.package not in ("containerd", "runc"))
    with pytest.raises(SdkError, match="containerd, runc") as caught:
        checks.check_machine(Size.NODE)
    assert caught.value.hint == ("apt-get install --no-install-recommends containerd runc")
    checks.check_machine(Size.CONTROL_PLANE)  # needs none of them


def test_no_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()  # the real question, to a program that answers as the kernel would
    monkeypatch.setattr(Need, "met", lambda need: True)
    refusal = "unshare: unshare failed: Operation not permitted"
    (tmp_path / "unshare").write_text(f"#!/bin/sh\necho '{refusal}' >&2; exit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SdkError, match=re.escape(f"new namespaces ({refusal})")):
        checks.check_machine(Size.CONTROL_PLANE)


def test_no_unshare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(Need, "met", lambda need: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SdkError, match=r"unshare is missing .* util-linux"):
        checks.check_machine(Size.CONTROL_PLANE)


def test_no_cgroups_is_only_bad_for_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_hierarchies", Hierarchies)
    checks.check_machine(Size.CONTROL_PLANE)
    with pytest.raises(SdkError, match="cgroup"):
        checks.check_machine(Size.NODE)


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(SdkError, match="needs Linux, this is darwin"):
        checks.check_machine(Size.NODE)
