"""The operator as the kubelet sees it: probes, SIGTERM, exit codes."""

from __future__ import annotations

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from integration.runtime.conftest import Audit, Process
from integration.runtime.test_controller import Make, available, get
from integration.runtime.test_leader import FAST, until
from kopf_sdk.runtime import ExitCode
from kopf_sdk.testing.cluster import Cluster

Start = Callable[..., Process]


def probe(process: Process, path: str) -> int:
    """The status code of a probe; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_sigterm_finishes_what_is_in_hand_then_releases_the_lease(
    cluster: Cluster, namespace: str, toys: Make, start: Start, audit: Audit
) -> None:
    process = start(f"--watch-namespaces={namespace}", f"--namespace={namespace}", *FAST)
    process.wait_for("leading as")
    until(lambda: probe(process, "/readyz") == 200)
    assert probe(process, "/healthz") == 200
    toys("one", text="sleep:8", children=["Service"])
    until(lambda: get(cluster, namespace, "Service"))
    process.popen.send_signal(signal.SIGTERM)
    until(lambda: probe(process, "/readyz") == 503)
    toys("two", children=["Service"])
    assert process.popen.wait(120) == ExitCode.STOPPED
    assert available(cluster, namespace)
    assert get(cluster, namespace, "Service", "two") is None
    order = audit.requests(
        lambda e: (
            e.get("objectRef", {}).get("namespace") == namespace
            and e["verb"] in ("patch", "update")
            and e["objectRef"]["resource"] in ("toys", "leases")
            and e["userAgent"] == "kopf-sdk"
        )
    )
    assert order[-1].startswith("update leases")
    assert "patch toys/status one 200" in order[:-1]


def test_reconciliations_that_outlast_the_grace_period_are_cut_off(
    cluster: Cluster, namespace: str, toys: Make, start: Start
) -> None:
    process = start(f"--watch-namespaces={namespace}", "--grace-period=1")
    process.wait_for("caches are filled")
    toys("one", text="sleep:60", children=["Service"])
    until(lambda: get(cluster, namespace, "Service"))
    started = time.monotonic()
    assert process.end() == ExitCode.GRACE_EXCEEDED
    assert time.monotonic() - started < 40


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--watch-namespaces=Not_A_Name"], ExitCode.USAGE, "not a namespace's name"),
        (["--workers=many"], ExitCode.USAGE, "not a number"),
        (["--no-such-flag"], ExitCode.USAGE, "unrecognized arguments"),
    ],
)
def test_wrong_settings_end_the_process_at_once(start: Start, flags: list[str], code: int, words: str) -> None:
    process = start(*flags)
    assert process.popen.wait(120) == code
    assert process.logged(words)
