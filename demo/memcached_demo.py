"""`make demo`: from nothing to a cache that answers, grows and heals, on a real Kubernetes.

Every step is one line with its time. The first one that fails ends the demo with the reason and the log that shows it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from demo_images import ROOT, Images, build_images
from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import Cluster, CurrentCluster, Which, target_cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl, KubectlError
from kopf_sdk.testing.cluster.progress import ConsoleProgress
from kopf_sdk.testing.tools import binary, ensure

__all__ = ["Demo", "StepFailedError", "failures_told"]

CHART = ROOT / "charts" / "memcached-operator"
SAMPLE = ROOT / "config" / "samples" / "cache_v1alpha1_memcached.yaml"
RELEASE, NAMESPACE = "demo", "demo-operator-system"
CACHE_NAMESPACE, CACHE = "default", "memcached-sample"
DEADLINE = 180.0
"""Seconds that one step may take before it counts as failed; all of them together take less than a minute."""
KEY, VALUE = "greeting", "hello from memcached"


class StepFailedError(Exception):
    """A step did not come to its end; `log` shows why."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


@contextlib.contextmanager
def failures_told(console: Console) -> Iterator[None]:
    """End the process with 1 when the body fails, and say why to a person."""
    try:
        yield
    except StepFailedError as error:
        console.print(f"[bold red]failed:[/] {escape(str(error))}\n{escape(error.log)}", highlight=False)
        sys.exit(1)
    except SdkError as error:
        console.print(f"[bold red]error:[/] {escape(error.message)}", highlight=False)
        if error.hint:
            console.print(f"[bold]hint:[/] {escape(error.hint)}", highlight=False)
        sys.exit(1)


class Demo:
    """The steps, on one cluster."""

    def __init__(self, cluster: Kubectl, console: Console) -> None:
        self._cluster = cluster
        self._progress = ConsoleProgress(console)

    def install(self, images: Images | None) -> None:
        """Install the chart and wait for the operator; without images, those that the chart names."""
        with self._progress.step("operator installed with Helm"):
            self._helm(
                ["upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"],
                _values("image", images.operator) + _values("operand.memcached.image", images.memcached)
                if images
                else [],
                ["--wait", "--timeout", f"{DEADLINE:.0f}s"],
            )

    def create(self) -> None:
        """Apply the sample and wait until clients are served."""
        with self._progress.step("Memcached applied, available"):
            self.kubectl("apply", "--filename", str(SAMPLE))
            self.kubectl("scale", f"memcached/{CACHE}", "--replicas=1")
            self.until_ready(1)

    def use(self) -> None:
        """Set a key through the Service from inside the cluster and read it back."""
        with self._progress.step("key set and read through the Service"):
            answer = self.memcached(f"set {KEY} 0 0 {len(VALUE)}\r\n{VALUE}\r\nget {KEY}")
            if "STORED" not in answer or VALUE not in answer:
                raise StepFailedError(f"memcached answered {answer!r}")

    def scale(self) -> None:
        """Grow from one pod to three; the first pod keeps its items."""
        with self._progress.step("scaled from 1 to 3 pods"):
            self.kubectl("scale", f"memcached/{CACHE}", "--replicas=3")
            self.until_ready(3)
            if VALUE not in self.memcached(f"get {KEY}", host=f"{CACHE}-0.{CACHE}-nodes"):
                raise StepFailedError("the first pod lost its items while others were added")

    def heal(self) -> None:
        """Delete a pod and see another one in its place."""
        pod = f"{CACHE}-2"
        with self._progress.step("a deleted pod is back"):
            before = self._uid(pod)
            self.kubectl("delete", "pod", pod, "--wait=false")
            self._poll(lambda: self._uid(pod) not in ("", before), f"{pod} has a successor")
            self.until_ready(3)

    def until_ready(self, size: int) -> None:
        """Wait until the status says, for the newest generation, that all pods answer."""

        def ready() -> bool:
            memcached = self._cluster.get("memcached", CACHE, "--namespace", CACHE_NAMESPACE)
            status = memcached.get("status", {})
            conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
            return (
                status.get("observedGeneration") == memcached["metadata"]["generation"]
                and status.get("readyReplicas") == size
                and conditions.get("Available") == "True"
                and conditions.get("Progressing") == "False"
            )

        self._poll(ready, f"{CACHE} has {size} ready pods")

    def memcached(self, text: str, host: str = CACHE) -> str:
        """Send lines of memcached's text protocol from inside the cluster, return what came back.

        Names and Services follow the readiness of their pods a moment later: it is tried until somebody is there.
        """
        script = f"printf '%s\\r\\nquit\\r\\n' \"$0\" | nc -w 30 {host} 11211"
        end = time.monotonic() + DEADLINE / 3
        while True:
            try:
                return self.kubectl("exec", f"{CACHE}-0", "--", "sh", "-c", script, text)
            except StepFailedError as error:
                if "nc: " not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the cache's namespace. Raises StepFailedError with its words."""
        try:
            return self._cluster.kubectl("--namespace", CACHE_NAMESPACE, *arguments)
        except KubectlError as error:
            raise StepFailedError(error.message) from error

    def _uid(self, pod: str) -> str:
        return self.kubectl("get", "pod", pod, "--ignore-not-found", "--output", "jsonpath={.metadata.uid}")

    def _helm(self, *words: Sequence[str]) -> None:
        command = [str(binary("helm")), *(word for part in words for word in part)]
        environment = dict(os.environ) | {"KUBECONFIG": str(self._cluster.kubeconfig)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode:
            pods = ["--namespace", NAMESPACE, "--selector", f"app.kubernetes.io/instance={RELEASE}"]
            shown = [self._shown("get", "pods", *pods), self._shown("logs", "--tail=20", *pods)]
            raise StepFailedError(f"helm {words[0][0]}: {result.stderr.strip()}", "\n".join(shown))

    def _shown(self, *arguments: str) -> str:
        try:
            return self._cluster.kubectl(*arguments)
        except KubectlError as error:
            return error.message

    def _poll(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; after the deadline raise StepFailedError with the resource's own words."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                words = [self._shown("describe", "memcached", CACHE), self._shown("get", "pods")]
                raise StepFailedError(f"waited {DEADLINE:.0f} s in vain until {what}", "\n".join(words))
            time.sleep(0.2)


def _values(prefix: str, image: str) -> list[str]:
    repository, _, tag = image.rpartition(":")
    return ["--set-string", f"{prefix}.registry=,{prefix}.repository={repository},{prefix}.tag={tag}"]


@click.command()
@click.option("--yes", is_flag=True, envvar="YES", help="Use the current context without asking (CLUSTER=current).")
@click.option("--image", envvar="IMG", help="An operator image that the cluster can pull (CLUSTER=current).")
def main(yes: bool, image: str | None) -> None:
    """Run the demo on the embedded cluster, or with CLUSTER=current on the kubeconfig's current context."""
    console = Console(soft_wrap=True)
    with failures_told(console):
        run(console, yes=yes, image=image)


def run(console: Console, *, yes: bool, image: str | None) -> None:
    """Go through all steps and say what to try next."""
    started = time.monotonic()
    progress = ConsoleProgress(console)
    which = os.environ.get("CLUSTER", Which.LOCAL)
    ensure(["helm"] if which == Which.CURRENT else ["node", "helm"], console=console)
    ask = click.confirm if sys.stdin.isatty() else None
    cluster = target_cluster(which, name="demo", assume_yes=yes, ask=ask, progress=progress)
    demo = Demo(cluster, console)
    demo.install(_images(cluster, progress, image))
    demo.create()
    demo.use()
    demo.scale()
    demo.heal()
    console.print(f"\nDone in {time.monotonic() - started:.0f} s.\n")
    console.print(demo.kubectl("get", "memcached"), highlight=False)
    console.print(_next(cluster.kubeconfig), highlight=False, markup=False)


def _images(cluster: Cluster | CurrentCluster, progress: ConsoleProgress, image: str | None) -> Images | None:
    if isinstance(cluster, CurrentCluster):  # pulls from registries: the chart's images, or the one that was pushed
        return Images(image, "docker.io/library/memcached:1.6.45") if image else None
    images = build_images(progress)
    with progress.step("images loaded into the node"):
        cluster.load_images(images.archives)
    return images


def _next(kubeconfig: Path) -> str:
    return f"""Try next:

  export KUBECONFIG={kubeconfig} PATH={ROOT}/.tools/bin:$PATH
  kubectl get memcached,statefulset,pods,services
  kubectl patch memcached {CACHE} --type merge --patch '{{"spec": {{"memory": "128Mi"}}}}'   # in place: no pod restarts
  kubectl delete statefulset {CACHE}                                                  # back within a second
  kubectl explain memcached.spec
  make demo-down                                                                      # removes everything
"""


if __name__ == "__main__":
    main()
