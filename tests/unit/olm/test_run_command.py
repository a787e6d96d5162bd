"""`kopf-sdk run` runs bundles, and everything else as a command of one's own."""

from __future__ import annotations

import subprocess
import sys

import pytest


def kopf_sdk(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kopf_sdk", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "words", [["echo", "--it", "runs"], ["--", "echo", "--it", "runs"], ["--", "sh", "-c", "echo --it runs"]]
)
def test_a_command_of_ones_own(words: list[str]) -> None:
    done = kopf_sdk("run", *words)
    assert (done.returncode, done.stdout) == (0, "--it runs\n")


def test_its_exit_code_is_ours_and_a_wrong_name_is_no_traceback() -> None:
    assert kopf_sdk("run", "sh", "-c", "exit 7").returncode == 7
    done = kopf_sdk("run", "no-such-command-here")
    assert done.returncode == 1
    assert "error: no-such-command-here: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_bundles_are_run_by_olm() -> None:
    shown = kopf_sdk("run", "bundle", "--help").stdout
    assert "--install-mode" in shown
    done = kopf_sdk("run", "bundle", "x", "--name", "no-such-cluster")
    assert done.returncode == 1
    assert "there is no local cluster 'no-such-cluster' that is ready" in done.stderr
