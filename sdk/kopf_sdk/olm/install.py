"""OLM installed from its own chart, and removed again without a trace."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.apply import apply
from kopf_sdk.olm.images import local_images
from kopf_sdk.olm.pods import pod_problem
from kopf_sdk.olm.release import Images, chart, released_images, version
from kopf_sdk.olm.status import MANAGED_BY, PART_OF_OLM, OlmStatus, olm_status
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, Progress
from kopf_sdk.testing.tools import ensure

__all__ = ["NAMESPACE", "OPERATORS", "install_olm"]

NAMESPACE = "olm"
OPERATORS = "operators"
"""Namespace whose OperatorGroup `global-operators` selects every namespace."""
_KUBERNETES = "1.34.0"


def install_olm(
    cluster: Kubectl,
    *,
    images: Images | None = None,
    operatorhub: bool = False,
    timeout: float = 300.0,
    progress: Progress = SILENT,
) -> OlmStatus:
    """Have OLM running on a cluster, whatever of it is there already; returns its status, which is healthy.

    Parameters
    ----------
    images
        What to run; made on this machine for a local cluster, the released ones for any other, when left out.
    operatorhub
        Whether to add the catalog of OperatorHub.io, which needs access to quay.io.
    timeout
        Seconds until it has to be healthy.

    Raises
    ------
    SdkError
        Another OLM is there, an image cannot be pulled, or it did not become healthy: with the reason.
    """
    ensure(["helm"])
    found = olm_status(cluster)
    if found.state != "absent" and not found.managed:
        raise SdkError(
            f"OLM is there already, in namespace {found.namespace or 'unknown'}, and kopf-sdk did not install it",
            hint="use it as it is: kopf-sdk run bundle; `kopf-sdk olm status` shows its state",
        )
    if images is None:
        images = _images(cluster, progress)
    if found.healthy and (found.version, found.image) == (version().removeprefix("v"), images.olm) and not operatorhub:
        progress.note(f"OLM {found.version} is there and healthy")
        return found
    with progress.step(f"OLM {version().removeprefix('v')} installed"):
        objects = _render(images, local=isinstance(cluster, Cluster), operatorhub=operatorhub)
        crds = [item for item in objects if item["kind"] == "CustomResourceDefinition"]
        rest = [item for item in objects if item["kind"] != "CustomResourceDefinition"]
        apply(cluster, *crds)
        names = [f"crd/{item['metadata']['name']}" for item in crds]
        cluster.kubectl("wait", "--for=condition=Established", *names, f"--timeout={timeout:.0f}s")
        apply(cluster, *rest)
    with progress.step("OLM healthy, packages listed"):
        return _wait(cluster, timeout)


def _images(cluster: Kubectl, progress: Progress) -> Images:
    if not isinstance(cluster, Cluster):
        return released_images()
    ensure(["olm"])
    with progress.step("OLM's images in the node"):
        return local_images(cluster)


def _render(images: Images, *, local: bool, operatorhub: bool) -> list[dict[str, Any]]:
    """Return the objects of OLM's chart, each with the label by which `uninstall` knows it again."""
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "catalog_namespace": NAMESPACE,
        "operator_namespace": OPERATORS,
        "installType": "upstream" if operatorhub else "plain",
        "olm": {"image": {"ref": images.olm, "pullPolicy": "IfNotPresent"}},
        "catalog": {
            "image": {"ref": images.olm, "pullPolicy": "IfNotPresent"},
            "commandArgs": f"--configmapServerImage={images.opm}",
            "opmImageArgs": f"--opmImage={images.opm}",
        },
        "package": {"image": {"ref": images.olm, "pullPolicy": "IfNotPresent"}, "replicaCount": 1 if local else 2},
    }
    command = ["helm", "template", "olm", str(chart()), "--include-crds", "--namespace", NAMESPACE]
    command[0] = str(ensure(["helm"])["helm"])
    done = subprocess.run(
        [*command, "--kube-version", _KUBERNETES, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SdkError(f"helm template of OLM's chart: {done.stderr.strip()}")
    objects = [dict(item) for item in yaml.load_all(done.stdout, source="OLM's chart") if item]
    for item in objects:
        metadata = item["metadata"]
        metadata["labels"] = {**(metadata.get("labels") or {}), **MANAGED_BY, **PART_OF_OLM}
    return objects


def _wait(cluster: Kubectl, timeout: float) -> OlmStatus:
    end = time.monotonic() + timeout
    while not (found := olm_status(cluster)).healthy:
        for pod in cluster.get("pods", "--namespace", NAMESPACE)["items"]:
            if problem := pod_problem(pod):
                raise SdkError(f"OLM does not start: {problem}", hint=_pull_hint(problem))
        if time.monotonic() > end:
            raise SdkError(
                f"OLM is not healthy after {timeout:.0f} s: {found.trouble}",
                hint=f"kubectl --namespace {NAMESPACE} logs deployment/olm-operator",
            )
        time.sleep(0.3)
    return found


def _pull_hint(problem: str) -> str:
    if "cannot be pulled" in problem:
        return "give images that the nodes can pull: --olm-image and --opm-image, then `kopf-sdk olm install` again"
    return f"kubectl --namespace {NAMESPACE} describe pods"
