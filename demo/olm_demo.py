"""`make olm-demo`: from nothing to a cache whose operator the Operator Lifecycle Manager installed.

Every step is one line with its time. The first one that fails ends the demo with the reason in OLM's words.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import click
from rich.console import Console

from demo_images import ROOT, Images, build_images
from kopf_sdk.olm import install_olm, olm_status, run_bundle
from kopf_sdk.testing.cluster import CurrentCluster, Which, target_cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, ConsoleProgress, Progress
from kopf_sdk.testing.tools import ensure
from memcached_demo import Demo, failures_told
from operator_bundle import image_values, operator_bundle

__all__ = ["main"]

CLUSTER = "olm-demo"
PACKAGE, NAMESPACE = "memcached-operator", "memcached-operator-system"
BUNDLE = ROOT / ".build" / "olm-demo" / "bundle"
MEMCACHED = "docker.io/library/memcached:1.6.45"


@click.command()
@click.option("--yes", is_flag=True, envvar="YES", help="Use the current context without asking (CLUSTER=current).")
@click.option("--image", envvar="IMG", help="An operator image that the cluster can pull (CLUSTER=current).")
def main(yes: bool, image: str | None) -> None:
    """Run the demo on a local cluster, or with CLUSTER=current on the kubeconfig's current context."""
    console = Console(soft_wrap=True)
    with failures_told(console):
        run(console, yes=yes, image=image)


def run(console: Console, *, yes: bool, image: str | None) -> None:
    """Go through all steps and say what to try next."""
    started = time.monotonic()
    progress = ConsoleProgress(console)
    which = Which(os.environ.get("CLUSTER", Which.LOCAL))
    ensure(["helm"] if which is Which.CURRENT else ["node", "helm", "olm"], console=console)
    with ThreadPoolExecutor(max_workers=1) as aside:
        # The images are built while cluster and OLM start; the context of a user is asked about first.
        building = aside.submit(build_images, SILENT) if which is Which.LOCAL else None
        ask = click.confirm if sys.stdin.isatty() else None
        cluster = target_cluster(which, name=CLUSTER, assume_yes=yes, ask=ask, progress=progress)
        _have_olm(cluster, progress)
        images = Images(image, MEMCACHED) if image else None
        if building is not None and not isinstance(cluster, CurrentCluster):
            with progress.step("operator's image built and loaded"):
                images = building.result()
                cluster.load_images(images.archives)
    bundle = operator_bundle(images, BUNDLE) if images else ROOT / "bundle"
    # What an earlier run installed from other sources goes first; its caches stay.
    run_bundle(cluster, str(bundle), namespace=NAMESPACE, replace=True, progress=progress)
    demo = Demo(cluster, console)
    demo.create()
    demo.use()
    console.print(f"\nDone in {time.monotonic() - started:.0f} s.\n")
    console.print(cluster.kubectl("--namespace", NAMESPACE, "get", "subscriptions,csv"), highlight=False)
    console.print(demo.kubectl("get", "memcached"), highlight=False)
    console.print(_next(cluster, images), highlight=False, markup=False)


def _have_olm(cluster: Kubectl, progress: Progress) -> None:
    """Install OLM, unless somebody else did on a cluster of the user's."""
    found = olm_status(cluster)
    if found.healthy and not found.managed:
        progress.note(f"OLM {found.version} is there")
    else:
        install_olm(cluster, progress=progress)


def _next(cluster: Kubectl, images: Images | None) -> str:
    where = "--cluster current" if isinstance(cluster, CurrentCluster) else f"--name {CLUSTER}"
    sets = "".join(f" --set {value}" for value in image_values(images)) if images else ""
    newer = BUNDLE.relative_to(ROOT).with_name("next")
    return f"""Try next:

  export KUBECONFIG={cluster.kubeconfig} PATH={ROOT}/.tools/bin:{ROOT}/.venv/bin:$PATH
  kubectl get packagemanifests                                        # what OLM can install
  kubectl --namespace {NAMESPACE} get catalogsources,subscriptions,installplans,csv
  kubectl delete statefulset memcached-sample                         # back within a second
  kopf-sdk cleanup {PACKAGE} {where}             # the operator goes, its caches stay
  make olm-demo                                                       # and it takes them over again
  make olm-demo-down                                                  # removes everything

An upgrade:

  kopf-sdk bundle build charts/memcached-operator --version 0.2.0 --output {newer}{sets}
  kopf-sdk run bundle-upgrade {newer} {where}
"""


if __name__ == "__main__":
    main()
