"""Where both sides run: one control plane, its network, and how to tell that nothing happens in it any more."""

from __future__ import annotations

import base64
import json
import math
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import cpu_seconds
from bench.server import Manifest, Server
from bench.sides import Side
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import Kind
from kopf_sdk.testing.cluster import Cluster, Size
from kopf_sdk.testing.cluster.addresses import API_PORT, NODE_IP
from kopf_sdk.testing.cluster.namespaces import network

__all__ = ["PER_NAMESPACE", "Address", "Arena", "Ground", "arena", "until"]

CONTROLLERS = "kube-controller-manager"
COMPONENTS = ("kube-apiserver", "etcd", CONTROLLERS)
QUIET_SHARE = 0.12
"""Share of a core that all of them may use together when they count as quiet."""
QUIET_SECONDS = 1.5
PER_NAMESPACE = 100
"""Resources of a namespace, unless told otherwise. For every StatefulSet and every pod Kubernetes' own controllers look
through all revisions and all Services of its namespace: thousands in one would measure that."""
CONFIG_MAP = Kind("v1", "ConfigMap")
"""Every namespace gets one by itself."""

Address = tuple[str, str]
"""Namespace and name of a resource."""


@dataclass(frozen=True)
class Ground:
    """The namespaces over which the resources of one measurement are spread."""

    namespaces: Sequence[str]
    before: Mapping[Kind, int]
    """How many objects of the kinds that a side owns the cluster had before."""

    def address(self, number: int, name: str = "m") -> Address:
        """Return the namespace and the name of the resource of that number; no two of a measurement share a name."""
        return self.namespaces[number % len(self.namespaces)], f"{name}-{number}"

    def addresses(self, resources: int, name: str = "m") -> list[Address]:
        """Return those of the first so many."""
        return [self.address(number, name) for number in range(resources)]


@dataclass
class Arena:
    """A control plane and what is needed to load it."""

    server: Server
    kubeconfig: Path
    """For operators: the API server's address inside."""
    audit_log: Path
    folder: Path
    """For logs."""
    components: dict[str, int]
    """PIDs."""
    cluster: Cluster
    inside: int
    """Descriptor of the network namespace that everything here runs in."""
    home: int
    """That of the one around it."""
    per_namespace: int = PER_NAMESPACE
    _ports: int = 8100

    def port(self) -> int:
        """Return a port that nobody uses."""
        self._ports += 1
        return self._ports

    def restart_controllers(self, *flags: str) -> None:
        """Start the control plane's controllers again, with these flags after the usual ones."""
        with network(self.home, self.inside):
            self.cluster.restart(CONTROLLERS, *flags)
            self.components[CONTROLLERS] = self.cluster.process(CONTROLLERS)
        self.settle()

    def component_cpu(self) -> dict[str, float]:
        """CPU seconds of the control plane's parts so far."""
        return {name: cpu_seconds(pid) for name, pid in self.components.items()}

    def settle(self, *pids: int, seconds: float = 300.0) -> float:
        """Wait until neither the control plane nor these processes work; return when (monotonic) they fell quiet."""
        watched = [*self.components.values(), *pids]
        deadline = time.monotonic() + seconds
        quiet_since = time.monotonic()
        before = sum(map(cpu_seconds, watched))
        while True:
            time.sleep(0.25)
            now = sum(map(cpu_seconds, watched))
            busy, before = now - before > QUIET_SHARE * 0.25, now
            if busy:
                quiet_since = time.monotonic()
            if time.monotonic() - quiet_since > QUIET_SECONDS or time.monotonic() > deadline:
                return quiet_since

    def ground(self, name: str, side: Side, resources: int = 1) -> Ground:
        """Make the namespaces for so many resources; they are called like this, and numbered."""
        whole = self.count(CONFIG_MAP)
        names = [f"{name}-{number}" for number in range(math.ceil(resources / self.per_namespace))]
        for one in names:
            self.server.request("POST", "/api/v1/namespaces", {"metadata": {"name": one}})
        until(lambda: self.count(CONFIG_MAP) == whole + len(names), 60, "every namespace has its root certificates")
        return Ground(names, self.counts(side))

    def clear(self, ground: Ground, seconds: float) -> None:
        """Delete the namespaces with all that is in them, and wait until nothing happens any more."""
        paths = [f"/api/v1/namespaces/{name}" for name in ground.namespaces]
        for path in paths:
            self.server.request("DELETE", path)
        until(lambda: not any(map(self._there, paths)), seconds, f"{', '.join(ground.namespaces)} are gone", 0.5)
        self.settle()

    def _there(self, path: str) -> bool:
        return bool(self.server.ask("GET", path)[0] != 404)

    def counts(self, side: Side) -> dict[Kind, int]:
        """Count the objects of every kind that a side's children have."""
        return {kind: self.count(kind) for kind in side.owns if not kind.optional}

    def count(self, kind: Kind) -> int:
        """Count the objects of a kind without reading them."""
        page = self.server.request("GET", f"{kind.path()}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)

    def json_bytes(self, kind: Kind, namespace: str) -> float:
        """Return the mean size of an object of a kind in a namespace, as JSON; 0 when there is none."""
        items = self.server.request("GET", f"{kind.path(namespace)}?limit=50")["items"]
        return sum(len(json.dumps(item, separators=(",", ":"))) for item in items) / len(items) if items else 0.0

    def etcd_bytes(self) -> float:
        """Return what etcd's database holds now, in bytes, the history since the last compaction included."""
        with urllib.request.urlopen("http://127.0.0.1:2379/metrics", timeout=10) as response:
            for line in response.read().decode().splitlines():
                if line.startswith("etcd_mvcc_db_total_size_in_use_in_bytes "):
                    return float(line.split()[1])
        raise SdkError("etcd does not tell the size of its database")


def until(condition: Callable[[], bool], seconds: float, what: str, poll: float = 0.1) -> None:
    """Wait for a condition.

    Raises
    ------
    SdkError
        It takes too long.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SdkError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(poll)


@contextmanager
def arena(
    name: str,
    folder: Path,
    sides: Iterable[Side],
    *,
    size: Size = Size.CONTROL_PLANE,
    archives: Sequence[Path] = (),
    per_namespace: int = PER_NAMESPACE,
) -> Iterator[Arena]:
    """Bring a cluster up that knows the sides' resources (and has the images), be inside its network, take it down.

    Everything started in the body shares the cluster's network: no forwarder stands between an operator and the API
    server.
    """
    cluster = Cluster(name)
    cluster.up(size, owner=os.getpid())
    try:
        for side in sides:
            cluster.apply(side.crd)
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", side.crd_name)
        # The garbage collector looks for new kinds when it starts; later it backs off for minutes.
        cluster.restart(CONTROLLERS)
        if archives:
            cluster.load_images(archives)
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://{NODE_IP}:{API_PORT}"
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        components = {component: cluster.process(component) for component in COMPONENTS}
        server = Server(NODE_IP, API_PORT, _tls(config, folder))
        inside = os.open(f"/proc/{cluster.process('init')}/ns/net", os.O_RDONLY)
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        with network(inside, home):
            yield Arena(server, kubeconfig, cluster.audit_log, folder, components, cluster, inside, home, per_namespace)
    finally:
        cluster.down()


def _tls(config: Manifest, folder: Path) -> ssl.SSLContext:
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    pem = folder / "admin.pem"
    pem.write_bytes(
        base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
    )
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    context.load_cert_chain(pem)
    return context
