"""Webhooks with certificates that the operator makes: behind a Service, and nothing passes without them."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.chart.conftest import CHART, ONCE, Helm
from kopf_sdk.testing.tools import binary
from waiting import eventually

pytestmark = pytest.mark.node

NAMESPACE = "webhooks"
FULLNAME = "hooks-memcached-operator"
CONFIGURATIONS = [f"{kind}webhookconfiguration/{FULLNAME}" for kind in ("mutating", "validating")]
SECRET = f"secret/{FULLNAME}-webhook-certificate"
VALUES = (
    "webhook.enabled=true,webhook.failurePolicy=Fail,webhook.timeoutSeconds=30,"
    "webhook.certificates.operatorManaged.enabled=true,crds.keep=false"
)


class Release:
    def __init__(self, helm: Helm, values: list[str]) -> None:
        self.helm = helm
        self.sets = [argument for value in [*values, VALUES] for argument in ("--set", value)]

    def apply(self, verb: str, *more: str) -> None:
        wait = ["--namespace", NAMESPACE, "--wait", "--timeout", "300s"]
        self.helm(verb, "hooks", CHART, *wait, *self.sets, *more)

    def kubectl(self, *arguments: str) -> str:
        return self.helm.cluster.kubectl("--namespace", NAMESPACE, *arguments)

    def certificates(self) -> tuple[Any, str]:
        """What is in the Secret, and what API servers trust."""
        secret = json.loads(self.kubectl("get", SECRET, "--output", "json"))
        configurations = json.loads(self.kubectl("get", *CONFIGURATIONS, "--output", "json"))["items"]
        (trusted,) = {webhook["clientConfig"]["caBundle"] for item in configurations for webhook in item["webhooks"]}
        return secret["data"], trusted

    def wait_until_reached(self) -> None:
        """Wait for kube-proxy: a Service of the first ready pod is reached a moment after the pod is ready."""

        def reached() -> bool:
            try:
                self.review()
            except AssertionError:
                return False
            return True

        eventually(reached, poll=0.5)

    def review(self, *options: str, **spec: Any) -> str:
        """Have a resource reviewed without creating it; return what kubectl prints, warnings included."""
        manifest = {
            "apiVersion": "cache.example.com/v1alpha1",
            "kind": "Memcached",
            "metadata": {"name": "reviewed", "namespace": NAMESPACE},
            "spec": spec,
        }
        run = subprocess.run(
            [binary("kubectl"), "create", "--dry-run=server", "-f", "-", *options],
            input=json.dumps(manifest),
            env=self.helm.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout
        return run.stdout


@pytest.fixture
def release(helm: Helm, image_values: list[str]) -> Iterator[Release]:
    release = Release(helm, image_values)
    release.apply("install", "--create-namespace")
    yield release
    helm("uninstall", "hooks", "--namespace", NAMESPACE, "--wait")
    helm.cluster.kubectl("delete", "namespace", NAMESPACE)


@ONCE
def test_upgrades_leave_certificates_alone_and_a_restart_loses_no_review(release: Release) -> None:
    release.wait_until_reached()
    assert "does not exist in namespace webhooks" in release.review(auth={"secretName": "nobody-made-it"})
    assert release.review("--output=jsonpath={.spec.size}", autoscaling={"minSize": 3, "maxSize": 5}) == "3"

    before = release.certificates()
    release.apply("upgrade")
    release.apply("upgrade", "--set", "log.level=debug,replicas=2")
    release.helm("rollback", "hooks", "1", "--namespace", NAMESPACE, "--wait", "--timeout", "300s")
    assert release.certificates() == before

    refused: list[str] = []
    reviewed = 0
    over = threading.Event()

    def keep_asking() -> None:
        nonlocal reviewed
        while not over.is_set():
            try:
                release.review(size=1)
                reviewed += 1
            except AssertionError as error:
                refused.append(str(error))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        release.kubectl("rollout", "restart", f"deployment/{FULLNAME}-controller-manager")
        release.kubectl("rollout", "status", f"deployment/{FULLNAME}-controller-manager", "--timeout=300s")
        pods = "--selector=app.kubernetes.io/instance=hooks,app.kubernetes.io/component=controller-manager"

        def alone() -> bool:
            """Whether the new pod is ready and the old one gone."""
            found = json.loads(release.kubectl("get", "pods", pods, "--output", "json"))["items"]
            conditions = [c for pod in found for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"]
            return len(found) == 1 and [c["status"] for c in conditions] == ["True"]

        eventually(alone, poll=0.5)
    finally:
        over.set()
        asking.join()
    assert refused == []
    assert reviewed > 5
    assert release.certificates() == before
