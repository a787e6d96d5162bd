"""Upgrades, rollbacks and removal, with both versions of Helm: caches must not notice any of them."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.chart.conftest import CHART, ONCE, PROJECT, Helm
from waiting import eventually

pytestmark = pytest.mark.node

CRD = "crd/memcacheds.cache.example.com"
RELEASE = "life"


def first_chart(folder: Path) -> Path:
    """The chart as it was in the first commit in which it installed something."""
    inside = CHART.relative_to(PROJECT)
    history = ["git", "log", "--diff-filter=A", "--format=%H", "--", f"{inside}/templates/deployment.yaml"]
    commit = subprocess.run(history, cwd=PROJECT, check=True, capture_output=True, text=True).stdout.split()[-1]
    archive = subprocess.run(["git", "archive", commit, inside], cwd=PROJECT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder / inside


class Installed:
    """A release in a namespace that enforces the restricted Pod Security Standard, and a cache in it."""

    def __init__(self, helm: Helm, values: list[str]) -> None:
        self.helm, self.values, self.namespace = helm, values, f"life-{helm.name}"

    def kubectl(self, *arguments: str) -> str:
        return self.helm.cluster.kubectl("--namespace", self.namespace, *arguments)

    def apply(self, verb: str, chart: Path, *values: str) -> str:
        sets = [argument for value in (*self.values, *values) for argument in ("--set", value)]
        return self.helm(verb, RELEASE, chart, "--namespace", self.namespace, "--wait", "--timeout", "300s", *sets)

    def cache(self) -> dict[str, Any]:
        """What must stay: the pods by UID, the objects around them, and a key in the memory of the first pod."""
        selector = "app.kubernetes.io/instance=kept,app.kubernetes.io/managed-by=memcached-operator"
        kinds = ("pods", "statefulsets", "services")
        found = {
            f"{kind}/{item['metadata']['name']}": (item["metadata"]["uid"], restarts(item))
            for kind in kinds
            for item in self.helm.objects(kind, "--namespace", self.namespace, "--selector", selector)
        }
        return {**found, "key": self.ask("get greeting")}

    def ask(self, text: str) -> str:
        script = "printf '%s\\r\\nquit\\r\\n' \"$0\" | nc -w 30 127.0.0.1 11211"
        return self.kubectl("exec", "kept-0", "-c", "memcached", "--", "sh", "-c", script, text)

    def versions(self) -> dict[str, str]:
        """The resourceVersion of every object of the release, as a measure of who was touched."""
        documents = yaml.safe_load_all(self.helm("get", "manifest", RELEASE, "--namespace", self.namespace))
        names = [f"{document['kind']}/{document['metadata']['name']}" for document in documents if document]
        return {
            name: json.loads(self.kubectl("get", name, "-o", "json"))["metadata"]["resourceVersion"] for name in names
        }

    def settled(self) -> dict[str, str]:
        """The same, once the controllers have written their statuses: nothing changes for three seconds."""
        found = [self.versions()]

        def unchanged() -> bool:
            time.sleep(3)
            found.append(self.versions())
            return found[-1] == found[-2]

        eventually(unchanged)
        return found[-1]


def restarts(item: dict[str, Any]) -> int:
    return sum(status["restartCount"] for status in item["status"].get("containerStatuses", ()))


@pytest.fixture
def installed(helm: Helm, image_values: list[str]) -> Iterator[Installed]:
    installed = Installed(helm, image_values)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": installed.namespace,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    helm.cluster.apply(json.dumps(namespace))
    yield installed
    helm("uninstall", RELEASE, "--namespace", installed.namespace, "--ignore-not-found")
    helm.cluster.kubectl("delete", CRD, "--ignore-not-found")
    helm.cluster.kubectl("delete", "namespace", installed.namespace, "--wait=false")


@ONCE
def test_caches_do_not_notice_upgrade_rollback_and_removal(installed: Installed, tmp_path: Path) -> None:
    helm = installed.helm
    installed.apply("install", first_chart(tmp_path))
    memcached = {
        "apiVersion": "cache.example.com/v1alpha1",
        "kind": "Memcached",
        "metadata": {"name": "kept", "namespace": installed.namespace},
        "spec": {"size": 2, "memory": "16Mi"},
    }
    helm.cluster.apply(json.dumps(memcached))
    installed.kubectl("wait", "memcached/kept", "--for=condition=Available", "--timeout=300s")
    installed.kubectl("wait", "pod/kept-0", "pod/kept-1", "--for=condition=Ready", "--timeout=300s")
    installed.ask("set greeting 0 0 5\r\nhello")
    before = installed.cache()
    assert "hello" in before["key"]

    installed.apply("upgrade", CHART)
    assert installed.cache() == before
    (current,) = yaml.safe_load_all(
        helm("template", RELEASE, CHART, "--show-only", "templates/crds/cache.example.com_memcacheds.yaml")
    )
    found = json.loads(helm.cluster.kubectl("get", CRD, "--output", "json"))
    assert found["spec"]["versions"] == current["spec"]["versions"], "the CRD is upgraded with the chart"

    installed.kubectl("rollout", "status", f"deployment/{RELEASE}-memcached-operator-controller-manager")
    touched = installed.settled()
    installed.apply("upgrade", CHART)
    assert installed.versions() == touched, "a second upgrade changes nothing"

    helm("rollback", RELEASE, "1", "--namespace", installed.namespace, "--wait", "--timeout", "300s")
    assert installed.cache() == before

    said = helm("uninstall", RELEASE, "--namespace", installed.namespace, "--wait")
    assert "kept due to the resource policy" in said
    assert "memcacheds.cache.example.com" in said
    assert not helm.objects("deployments", "--namespace", installed.namespace)
    assert installed.cache() == before
    assert json.loads(installed.kubectl("get", "memcached", "kept", "--output", "json"))["spec"]["size"] == 2

    installed.apply("install", CHART)
    installed.kubectl("scale", "memcached/kept", "--replicas=3")
    eventually(lambda: "pods/kept-2" in installed.cache())
    after = installed.cache()
    assert {name: after[name] for name in before} == before, "a new installation takes over where the old one left"


@pytest.mark.parametrize("helm", ["helm"], indirect=True)
def test_without_keep_everything_goes(installed: Installed) -> None:
    installed.apply("install", CHART, "crds.keep=false")
    manifest = {
        "apiVersion": "cache.example.com/v1alpha1",
        "kind": "Memcached",
        "metadata": {"name": "kept", "namespace": installed.namespace},
        "spec": {"memory": "16Mi"},
    }
    installed.helm.cluster.apply(json.dumps(manifest))
    installed.kubectl("wait", "memcached/kept", "--for=condition=Available", "--timeout=300s")
    installed.helm("uninstall", RELEASE, "--namespace", installed.namespace, "--wait")
    eventually(lambda: not installed.helm.objects("pods", "--namespace", installed.namespace))
    left = installed.helm.objects(
        "clusterroles,clusterrolebindings,crds,mutatingwebhookconfigurations",
        "--selector",
        f"app.kubernetes.io/instance={RELEASE}",
    )
    assert left == []
