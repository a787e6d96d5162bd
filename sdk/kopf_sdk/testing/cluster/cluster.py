"""A local cluster: brought up, looked at, repaired, disturbed and removed."""

from __future__ import annotations

import contextlib
import datetime
import signal as signals
from collections.abc import Sequence
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import images, processes, readiness
from kopf_sdk.testing.cluster.addresses import NODE_IP
from kopf_sdk.testing.cluster.api import Api
from kopf_sdk.testing.cluster.checks import check_machine, snapshotter
from kopf_sdk.testing.cluster.components import BINARIES
from kopf_sdk.testing.cluster.control import KeeperGoneError, ask
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.cluster.progress import SILENT, Progress
from kopf_sdk.testing.cluster.state import Phase, Record, Size, layout
from kopf_sdk.testing.cluster.status import Status, components, look

__all__ = ["Cluster"]


class Cluster(Kubectl):
    """A cluster of this machine by its name; making the object starts nothing.

    Parameters
    ----------
    name
        Lower-case DNS label of at most 40 characters.
    """

    def __init__(self, name: str = "dev") -> None:
        self.layout = layout(name)

    @property
    def name(self) -> str:
        return self.layout.name

    @property
    def kubeconfig(self) -> Path:
        """Administrator's credentials for the host; exists once the cluster is up."""
        return self.layout.kubeconfig

    @property
    def context(self) -> str:
        """Name of the context in the kubeconfig."""
        return self.layout.context

    @property
    def api(self) -> Api:
        """A small client for the API server."""
        return readiness.reach(self.layout)

    @property
    def audit_log(self) -> Path:
        """Every request to the API server as JSON lines (Metadata level)."""
        return self.layout.audit_log

    def log_files(self) -> dict[str, Path]:
        """The log of every component that has written one; `audit` is the audit log."""
        return {path.stem: path for path in sorted(self.layout.logs.glob("*.log"))}

    def up(self, size: Size = Size.NODE, progress: Progress = SILENT, *, owner: int | None = None) -> bool:
        """Have the cluster running, whatever state it is in; returns whether anything had to be done.

        Parameters
        ----------
        owner
            PID of a process with which the cluster ends, however that process ends (only for a new cluster).

        Raises
        ------
        SdkError
            The machine lacks something, it runs with a smaller size, or a component does not start.
        """
        check_machine(size)
        with self._lock(progress):
            if (repaired := self._repair(size, progress)) is not None:
                return repaired
        from kopf_sdk.testing.tools import ensure  # noqa: PLC0415 (slow to import, and `down` does not need it)

        with progress.step("programs there"):
            programs = {**ensure(BINARIES[size]), "containerd": Path("containerd")}
        with self._lock(progress):
            # Somebody else may have been faster.
            if (repaired := self._repair(size, progress)) is not None:
                return repaired
            if self.layout.directory.exists():
                with progress.step("what is left of the one before removed"):
                    self._remove()
            self._start(size, programs, progress, owner)
        return True

    def down(self, progress: Progress = SILENT) -> bool:
        """Remove every trace of the cluster; returns whether there was one."""
        with self._lock(progress):
            there = self.layout.directory.exists() or bool(processes.holders(self.layout))
            with progress.step(f"cluster {self.name} removed") if there else contextlib.nullcontext():
                self._remove()
        return there

    def status(self) -> Status:
        """What is true now."""
        return look(self.layout)

    def load_images(self, archives: Sequence[Path]) -> dict[str, str]:
        """Import image archives into the node; returns image names and digests.

        Pods use them with `imagePullPolicy` IfNotPresent or Never.

        Raises
        ------
        SdkError
            There is no node, or a file is no image archive (then none is imported).
        """
        pid = self._node_init()
        for archive in archives:
            images.check_archive(archive)
        loaded: dict[str, str] = {}
        for archive in archives:
            loaded |= images.import_image(pid, archive, snapshotter(self.layout.directory))
        return loaded

    def export_image(self, name: str, archive: Path) -> None:
        """Write an image of the node into an OCI archive."""
        images.export_image(self._node_init(), name, archive)

    def image_names(self) -> set[str]:
        """Every name under which the node knows an image, `name@sha256:…` included."""
        return images.image_names(self._node_init())

    def tag_image(self, source: str, target: str) -> None:
        """Give an image of the node another name, `name@sha256:…` included."""
        images.tag_image(self._node_init(), source, target)

    def expose_host(self, port: int, *, listen_port: int = 0) -> str:
        """Let the cluster reach a server on the host's loopback, as webhooks of an operator on the host need.

        Returns `ip:port` as seen from inside, from pods too. The same port again gives the same answer; it ends with
        the cluster. A TLS certificate of the server has to name the IP (`expose_host_ip`).
        """
        address, inside = ask(self.layout, "expose", host="127.0.0.1", port=port, listen_port=listen_port)
        return f"{address}:{inside}"

    @property
    def expose_host_ip(self) -> str:
        """The address in what `expose_host` returns."""
        return NODE_IP

    def publish(self, address: str, port: int) -> str:
        """Let the host reach an IP address inside (a pod, a ClusterIP) on its loopback; returns `127.0.0.1:port`."""
        host, outside = ask(self.layout, "publish", address=address, port=port, listen_port=0)
        return f"{host}:{outside}"

    def create_namespace(self, name: str) -> None:
        """Make a namespace that takes pods: its default ServiceAccount is there."""
        api = self.api
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        readiness.until(
            self.layout,
            f"namespace {name} has its ServiceAccount",
            lambda: api.ok(f"/api/v1/namespaces/{name}/serviceaccounts/default"),
            needs=("kube-apiserver", "kube-controller-manager"),
            poll=0.01,
        )

    def signal(self, component: str, number: int) -> None:
        """Send a signal to a component, for example SIGSTOP and SIGCONT to the API server."""
        ask(self.layout, "signal", name=component, number=int(number))

    def stop(self, component: str) -> None:
        """Kill a component (SIGKILL) and wait until it is gone; it stays away until `restart` or `up`."""
        ask(self.layout, "stop", name=component)

    def restart(self, component: str, *flags: str) -> None:
        """Kill a component if it runs and start it again; returns when the API server is ready (again).

        Parameters
        ----------
        flags
            Of its command line, after the usual ones (of a flag that is there twice, the last counts): feature gates,
            limits. They hold until it is started the next time.
        """
        ask(self.layout, "restart", name=component, flags=flags)
        readiness.wait_api(self.layout, SILENT)

    def process(self, component: str) -> int:
        """PID on the host of a component, or of the cluster's `init` or `keeper`."""
        if component in ("init", "keeper"):
            keeper = readiness.living_keeper(self.layout)
            return keeper.init_pid if component == "init" else keeper.pid
        return int(ask(self.layout, "status")[component]["pid"])

    def _kubectl_environment(self) -> dict[str, str]:
        # What it remembers of this API server goes with the cluster.
        return {"KUBECACHEDIR": str(self.layout.directory / "kubectl")}

    def _lock(self, progress: Progress) -> contextlib.AbstractContextManager[None]:
        return self.layout.lock(lambda: progress.note("another command works on this cluster, waiting for it"))

    def _node_init(self) -> int:
        pid = readiness.living_keeper(self.layout).init_pid
        record = self.layout.record()
        if record is None or record.size is not Size.NODE:
            raise SdkError(
                f"the cluster '{self.name}' has no node that could run images",
                hint="kopf-sdk cluster down, then kopf-sdk cluster up --size node",
            )
        return pid

    def _repair(self, size: Size, progress: Progress) -> bool | None:
        """Keep a cluster that is up, with what died of it started again; None when it has to be made anew."""
        record = self.layout.record()
        if record is None or record.phase is not Phase.READY:
            return None
        try:
            parts = components(self.layout, record.size)
        except KeeperGoneError:
            return None
        if record.size is Size.CONTROL_PLANE and size is Size.NODE:
            raise SdkError(
                f"the cluster '{self.name}' is up without a node",
                hint=f"kopf-sdk cluster down --name {self.name} first, or choose another --name",
            )
        broken = [part for part in parts if part.state != "running"]
        for part in broken:
            if part.state == "stopped":
                self.signal(part.name, signals.SIGCONT)
            else:
                progress.note(f"{part.name} had ended (code {part.code}), started again")
                ask(self.layout, "restart", name=part.name)
        readiness.wait_ready(self.layout, record.size, progress if broken else SILENT)
        return bool(broken)

    def _start(self, size: Size, programs: dict[str, Path], progress: Progress, owner: int | None) -> None:
        from kopf_sdk.testing.cluster.startup import start  # noqa: PLC0415 (`down` would take twice as long)

        created = datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")
        record = Record(self.name, size, Phase.STARTING, created=created)
        self.layout.create()
        self.layout.save(record)
        try:
            start(self.layout, size, programs, progress, owner)
        except KeyboardInterrupt:
            self._remove()
            raise
        except BaseException as error:
            # The logs stay: they have the reason.
            processes.end(self.layout)
            record.phase, record.reason = Phase.FAILED, str(error)
            self.layout.save(record)
            raise
        record.phase = Phase.READY
        self.layout.save(record)

    def _remove(self) -> None:
        processes.end(self.layout)
        self.layout.remove()
