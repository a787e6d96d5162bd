"""A control plane with the toy's CRD, its audit log, and the toy operator as a process."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import audit
from integration.runtime.toy import GROUP, Toy
from kopf_sdk.generate import crd_manifests
from kopf_sdk.testing.cluster import Cluster
from ports import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def cluster(control_plane: Cluster) -> Cluster:
    """The control plane, knowing toys."""
    control_plane.apply(json.dumps(crd_manifests([Toy])[0]))
    control_plane.kubectl("wait", "--for=condition=Established", f"crd/toys.{GROUP}", "--timeout=120s")
    return control_plane


@pytest.fixture
def other_namespace(cluster: Cluster) -> Iterator[str]:
    """A second namespace."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.create_namespace(name)
    yield name
    cluster.api.delete(f"/api/v1/namespaces/{name}")


class Audit:
    """What was asked of the API server since this object was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.start()

    def start(self) -> None:
        """Look only at what comes from now on."""
        self._begin = audit.position(self._path)

    def requests(self, keep: Callable[[dict[str, Any]], bool]) -> list[str]:
        """Return `verb resource/subresource name code` of the complete requests that `keep` keeps."""
        events = audit.events(self._path, self._begin)
        return [line(event) for event in events if event["stage"] == "ResponseComplete" and keep(event)]

    def writes(self, namespace: str) -> list[str]:
        """Return the operator's writes in a namespace."""
        return self.requests(
            lambda event: (
                event["verb"] in ("create", "update", "patch", "delete")
                and event.get("userAgent", "") == "kopf-sdk"
                and event.get("objectRef", {}).get("namespace") == namespace
                and event["objectRef"]["resource"] not in ("events", "leases")
            )
        )


def line(event: dict[str, Any]) -> str:
    """One request in a line."""
    ref = event.get("objectRef", {})
    what = "/".join(filter(None, (ref.get("resource"), ref.get("subresource")))) or event["requestURI"]
    return f"{event['verb']} {what} {ref.get('name', '')} {event['responseStatus']['code']}"


@pytest.fixture(name="audit")
def _audit(cluster: Cluster) -> Audit:
    """The audit log from here on."""
    return Audit(cluster.audit_log)


@pytest.fixture
def toys(cluster: Cluster, namespace: str) -> Callable[..., None]:
    """Make a toy: `toys(name, **spec)`."""

    def make(name: str, **spec: Any) -> None:
        path = f"/apis/{GROUP}/v1/namespaces/{namespace}/toys"
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Toy", "metadata": {"name": name}, "spec": spec}
        code, answer = cluster.api.request("POST", path, body)
        assert code == 201, answer

    return make


class Process:
    """The toy operator as a process."""

    def __init__(self, kubeconfig: Path, log: Path, *flags: str) -> None:
        self.port = free_port()
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [
                    sys.executable,
                    str(Path(__file__).with_name("toy.py")),
                    f"--kubeconfig={kubeconfig}",
                    f"--health-probe-bind-address=127.0.0.1:{self.port}",
                    "--metrics-bind-address=0",
                    *flags,
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "sdk"), str(ROOT / "operator")])},
                stderr=output,
                stdout=output,
            )

    def logged(self, text: str) -> bool:
        """Whether the log has a text."""
        return text in self.log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        """Wait until the log has a text."""
        deadline = time.monotonic() + seconds
        while not self.logged(text):
            assert self.popen.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{text!r} not logged:\n{self.log.read_text()}"
            time.sleep(0.05)

    def end(self) -> int:
        """Stop it as the kubelet does; return its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(120)


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start toy operators: `start("--flag", kubeconfig=...)`; they are killed after the test."""
    started: list[Process] = []

    def make(*flags: str, kubeconfig: Path | None = None) -> Process:
        process = Process(kubeconfig or cluster.kubeconfig, tmp_path / f"operator-{len(started)}.log", *flags)
        started.append(process)
        return process

    yield make
    for process in started:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait()
