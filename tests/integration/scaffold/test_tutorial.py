"""operator-sdk's tutorial with kopf-sdk, step by step, against a real API server (without nodes: pods stay Pending)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kopf_sdk.testing.cluster import Cluster

SIZE = '''\
    size: Annotated[int, Field(ge=1, le=5)] = 1
    """Number of pods."""

    container_port: Annotated[int, Field(ge=1, le=65535)] = 11211
    """Port that memcached listens on."""
'''


def take_away_comment_signs(source: str) -> str:
    """Do what the comment of the scaffolded reconcile function says."""
    head, code = source.split("    #\n", 1)
    code, tail = code.split("\n\n", 1)
    return head + re.sub(r"^    # ", "    ", code, flags=re.MULTILINE) + "\n\n" + tail


def wait(condition: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.3)


def test_the_tutorial(control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
    root = tmp_path / "memcached-operator"
    root.mkdir()
    tools = Path(__file__).parents[3] / ".tools" / "bin"
    path = os.pathsep.join([str(Path(sys.executable).parent), str(tools), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "KUBECONFIG": str(control_plane.kubeconfig), "WATCH_NAMESPACE": namespace}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def live(*what: str) -> dict[str, Any]:
        command = ["kubectl", "get", *what, "-n", namespace, "-o", "yaml", "--ignore-not-found"]
        found = yaml.safe_load(run(*command))
        return found if isinstance(found, dict) else {}

    def available() -> tuple[Any, Any]:
        status = live("memcached.tutorial.example.com", "memcached-sample").get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions", ())}
        return conditions.get("Available", {}).get("status"), conditions.get("Available", {}).get("message")

    run("kopf-sdk", "init", "--domain", "example.com", "--name", "memcached-operator")
    run("kopf-sdk", "edit", "--multigroup=true")
    run("kopf-sdk", "create", "api", "--group", "tutorial", "--version", "v1alpha1", "--kind", "Memcached")

    types = root / "api" / "tutorial" / "v1alpha1" / "memcached.py"
    source = types.read_text()
    example = re.compile(r'    foo: .*\n    """.*"""\n')
    assert example.search(source)
    edited = example.sub(lambda _: SIZE, source).replace(
        "from kopf_sdk", "from pydantic import Field\nfrom kopf_sdk", 1
    )
    types.write_text(edited)
    controller = root / "controllers" / "tutorial" / "memcached.py"
    before = controller.read_text()
    controller.write_text(take_away_comment_signs(before))
    assert sum(a != b for a, b in zip(before.splitlines(), controller.read_text().splitlines(), strict=False)) < 30

    run("make", "generate")
    run("make", "test")
    run("make", "install")
    log = (tmp_path / "operator.log").open("w")
    operator = subprocess.Popen(
        ["make", "run", "ARGS=--health-probe-bind-address 127.0.0.1:0"],
        cwd=root,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        sample = root / "config" / "samples" / "tutorial_v1alpha1_memcached.yaml"
        sample.write_text(sample.read_text().replace("spec: {}", "spec:\n  size: 3"))
        run("kubectl", "apply", "-n", namespace, "-f", str(sample))
        deployment = wait(lambda: live("deployment", "memcached-sample"))
        assert deployment.get("spec", {}).get("replicas") == 3, (tmp_path / "operator.log").read_text()
        assert wait(lambda: available() == ("False", "0 of 3 pods are ready")), available()

        patch = ["kubectl", "patch", "-n", namespace, "--type", "merge"]
        run(*patch, "memcached.tutorial.example.com", "memcached-sample", "-p", '{"spec": {"size": 5}}')
        assert wait(lambda: live("deployment", "memcached-sample")["spec"]["replicas"] == 5)
        run("kubectl", "delete", "-n", namespace, "deployment", "memcached-sample")
        assert wait(lambda: live("deployment", "memcached-sample").get("spec", {}).get("replicas") == 5), "repaired"
        run("kubectl", "delete", "-n", namespace, "-f", str(sample))
        assert wait(lambda: not live("deployment", "memcached-sample"))
    finally:
        os.killpg(operator.pid, signal.SIGTERM)
        operator.wait(120)
    run("make", "uninstall")
    run("make", "uninstall")
    assert run("kubectl", "get", "crd", "memcacheds.tutorial.example.com", "--ignore-not-found") == ""
