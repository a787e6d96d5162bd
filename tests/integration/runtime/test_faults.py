"""What goes wrong in clusters: the API server restarts, freezes, forgets; kinds come and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from integration.runtime.conftest import Audit
from integration.runtime.test_controller import Make, available, get
from integration.runtime.toy import CONFIG_MAP, GADGET, GROUP, SERVICE, Toy, controller
from kopf_sdk.generate import crd_manifests
from kopf_sdk.runtime import Kind, Manager
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.harness import eventually, running


class Line:
    """A TCP line to the API server that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other_reader, other_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, other_writer}
        await asyncio.gather(self._pump(reader, other_writer), self._pump(other_reader, writer))
        self._writers -= {writer, other_writer}

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def wire(cluster: Cluster, tmp_path: Path) -> AsyncIterator[tuple[Line, Path]]:
    """A line to the API server, and a kubeconfig that uses it."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    assert server.hostname is not None
    assert server.port is not None
    wire = Line(server.hostname, server.port)
    await wire.mend()
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{wire.port}"
    path = tmp_path / "wire.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    yield wire, path
    await wire.cut()


def cached(manager: Manager, kind: Kind) -> set[str]:
    """The names that a manager has in its caches of a kind."""
    return {entry.name for store in manager.caches if store.source.kind == kind for entry in store}


async def test_what_vanished_while_nobody_was_watching_leaves_the_caches(
    cluster: Cluster, namespace: str, toys: Make, wire: tuple[Line, Path]
) -> None:
    """Kopf tells its handlers nothing of objects that are missing in a later list; nor is history always there."""
    for name in ("one", "two", "three"):
        toys(name, children=["Service", "ConfigMap"])
    path = f"/apis/{GROUP}/v1/namespaces/{namespace}/toys"
    async with running(wire[1], controller(), watch_namespaces=namespace) as manager:
        toy = Kind.of(Toy)
        await eventually(lambda: all(available(cluster, namespace, name) for name in ("one", "two", "three")))
        assert cached(manager, toy) == {"one", "two", "three"}
        await wire[0].cut()
        cluster.api.delete(f"{path}/one")
        cluster.api.delete(f"{path}/two")
        for name in ("one", "two"):
            cluster.api.delete(CONFIG_MAP.path(namespace, name))
        cluster.api.delete(SERVICE.path(namespace, "three"))
        await asyncio.to_thread(cluster.restart, "kube-apiserver")  # an empty watch cache: history is lost
        assert cached(manager, toy) == {"one", "two", "three"}
        await wire[0].mend()
        await eventually(lambda: cached(manager, toy) == {"three"})
        await eventually(lambda: cached(manager, CONFIG_MAP) == {"three"})
        await eventually(get, cluster, namespace, "Service", "three")
        cluster.api.delete(f"{path}/three")
        await eventually(lambda: cached(manager, toy) == set())


async def test_a_restarted_api_server_is_watched_again_at_once(cluster: Cluster, namespace: str, toys: Make) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", children=["Service"])
        await eventually(available, cluster, namespace)
        await asyncio.to_thread(cluster.restart, "kube-apiserver")
        cluster.api.delete(SERVICE.path(namespace, "one"))
        toys("two", children=["Service"])
        await eventually(get, cluster, namespace, "Service", "one", within=15)  # Kopf by itself: 18 s
        await eventually(available, cluster, namespace, "two", within=15)


@pytest.mark.parametrize("seconds", [10, pytest.param(120, marks=pytest.mark.full)])
async def test_a_frozen_api_server_leaves_no_deaf_operator(
    cluster: Cluster, namespace: str, toys: Make, seconds: float
) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", children=["Service"])
        await eventually(available, cluster, namespace)
        cluster.signal("kube-apiserver", signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            cluster.signal("kube-apiserver", signal.SIGCONT)
        await eventually(lambda: cluster.api.ok("/readyz"))
        cluster.api.delete(SERVICE.path(namespace, "one"))
        await eventually(get, cluster, namespace, "Service", "one")
        toys("two", children=["Service"])
        await eventually(available, cluster, namespace, "two")


async def test_an_optional_kind_is_picked_up_when_it_appears_and_let_go_when_it_goes(
    cluster: Cluster, namespace: str, toys: Make
) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gadgets.{GADGET.group}"},
        "spec": {
            "group": GADGET.group,
            "scope": "Namespaced",
            "names": {"kind": "Gadget", "plural": "gadgets"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", children=["Service", "Gadget"])
        await eventually(available, cluster, namespace)
        for _ in range(2):
            cluster.apply(json.dumps(crd))
            await eventually(get, cluster, namespace, "Gadget", within=180)
            cluster.kubectl("delete", "crd", f"gadgets.{GADGET.group}", "--timeout=120s")
            cluster.api.delete(SERVICE.path(namespace, "one"))
            await eventually(get, cluster, namespace, "Service")


async def test_kopf_is_started_again_when_the_crd_was_gone(cluster: Cluster, namespace: str, toys: Make) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace) as manager:
        toys("one", children=["Service"])
        await eventually(available, cluster, namespace)
        cluster.kubectl("delete", "crd", f"toys.{GROUP}", "--timeout=120s")
        await eventually(lambda: cached(manager, Kind.of(Toy)) == set(), within=120)
        cluster.apply(json.dumps(crd_manifests([Toy])[0]))
        cluster.kubectl("wait", "--for=condition=Established", f"crd/toys.{GROUP}", "--timeout=120s")
        toys("two", children=["Service"])
        await eventually(available, cluster, namespace, "two", within=180)


async def test_conflicts_with_others_writes_do_not_end_in_a_loop(
    cluster: Cluster, namespace: str, toys: Make, audit: Audit
) -> None:
    async with running(cluster.kubeconfig, controller(), watch_namespaces=namespace):
        toys("one", children=["ConfigMap"])
        await eventually(available, cluster, namespace)
        audit.start()
        for number in range(20):
            cluster.api.request(
                "PATCH",
                CONFIG_MAP.path(namespace, "one"),
                {"data": {"text": f"theirs {number}"}},
                content_type="application/merge-patch+json",
            )
        await eventually(lambda: get(cluster, namespace, "ConfigMap")["data"] == {"text": "x"})
        await asyncio.sleep(2)
    writes = audit.writes(namespace)
    assert 1 <= len(writes) <= 25
