"""The catalog that `run bundle` makes for one package, and how a cluster gets it.

A pod of ours serves it out of a ConfigMap, so nothing has to be pushed, and it is ready in the time that OLM's own
catalog pods take for their first probe (10 s). A local node can be given a catalog image instead, which OLM serves.
Either way the ConfigMap is what the next upgrade starts from.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kopf_sdk.bundle.catalog.build import CatalogOptions, add_bundles
from kopf_sdk.bundle.catalog.check import check_catalog
from kopf_sdk.bundle.catalog.model import Catalog
from kopf_sdk.bundle.fate import Level
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.apply import apply
from kopf_sdk.olm.images import load_by_digest
from kopf_sdk.olm.objects import CATALOG_DIRECTORY, catalog_source
from kopf_sdk.olm.pods import pod_problem, waiting_for
from kopf_sdk.olm.source import BundleSource
from kopf_sdk.olm.status import MANAGED_BY
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.cluster.kubectl import Kubectl
from kopf_sdk.testing.images.archive import write
from kopf_sdk.testing.images.definition import Definition
from kopf_sdk.testing.images.layer import Layer

__all__ = ["CatalogPlace", "catalog_image", "extend", "read", "serialize", "server_name"]

_KEY = "catalog.json"
_PORT = 50051
# A ConfigMap takes 1 MiB in all.
_LIMIT = 1_000_000
_ROLLOUT = 120.0
"""Seconds until the catalog has to be served."""
_LABEL, _DIGEST = "kopf-sdk/catalog", "kopf-sdk/catalog-digest"


def extend(catalog: Catalog, source: BundleSource, *, image: str, replaces: str = "") -> None:
    """Add a bundle to a catalog, in the place of one of the same name.

    Parameters
    ----------
    image
        Reference of the bundle's image; without one the catalog carries the bundle's objects.
    replaces
        What it replaces when neither its CSV nor the catalog says: the installed version.

    Raises
    ------
    SdkError
        The bundle has no place in the graph.
    """
    name, package = source.bundle.name, source.bundle.package
    catalog.bundles = [blob for blob in catalog.bundles if (blob["package"], blob["name"]) != (package, name)]
    for channel in catalog.channels:
        channel["entries"] = [entry for entry in channel["entries"] if entry["name"] != name]
    level = "csv-metadata" if image else "bundle-object"
    add_bundles(catalog, [source.directory], CatalogOptions(image.replace("{", "{{").replace("}", "}}"), level))  # type: ignore[arg-type]
    for channel in catalog.channels if replaces else ():
        for entry in channel["entries"]:
            if entry["name"] == name and not entry.keys() & {"replaces", "skips"}:
                entry["replaces"] = replaces
    problems = [finding for finding in check_catalog(catalog) if finding.level is Level.ERROR]
    if problems:
        raise SdkError(
            f"{name} does not fit into the catalog: {problems[0].where}: {problems[0].message}",
            hint=problems[0].hint or "its CSV says what it replaces: spec.replaces, spec.skips, olm.skipRange",
        )


def serialize(catalog: Catalog) -> str:
    """Return the catalog as a stream of JSON documents, the same text for the same catalog."""
    blobs = (blob for package in catalog.package_names() for blob in catalog.blobs(package))
    return "".join(json.dumps(blob, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for blob in blobs)


def read(text: str) -> Catalog:
    """Return the catalog that `serialize` wrote."""
    catalog = Catalog()
    for line in text.splitlines():
        catalog.add(json.loads(line))
    return catalog


def server_name(catalog: str) -> str:
    """Return the name of what serves a catalog of ours out of its ConfigMap: a Deployment and a Service."""
    return f"{catalog}-server"


def catalog_image(files: Mapping[str, str], name: str, path: Path) -> None:
    """Write the archive of an image that holds nothing but a catalog, below /configs.

    OLM copies the catalog out of it and serves it with its own opm (`grpcPodConfig.extractContent`).
    """
    layer = Layer()
    for file, text in files.items():
        layer.file(f"{CATALOG_DIRECTORY.strip('/')}/{file}", text.encode())
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-catalog-") as folder:
        tar = Path(folder) / "layer.tar"
        layer.write(tar)
        write(path, name, Definition(reference=name), tar)


@dataclass(frozen=True)
class CatalogPlace:
    """The CatalogSource of a package in a namespace of a cluster, with what serves it.

    Attributes
    ----------
    opm
        Image that serves the catalog out of a ConfigMap; empty: OLM serves it out of a catalog image.
    inline
        Whether the catalog carries the objects of bundles that no registry has.
    """

    cluster: Kubectl
    namespace: str
    package: str
    opm: str = ""
    inline: bool = False

    @property
    def name(self) -> str:
        return f"{self.package}-catalog"

    def stored(self) -> Catalog | None:
        """Return the catalog that is there from the last time."""
        where = ("--namespace", self.namespace, "--ignore-not-found", "--output", "json")
        found = self.cluster.kubectl("get", "configmap", self.name, *where)
        text = (json.loads(found).get("data") or {}).get(_KEY) if found.strip() else None
        return read(text) if text else None

    def bundle_reference(self, source: BundleSource) -> str:
        """Bring the bundle's image to the cluster and return its name there; empty: the catalog has to carry it."""
        if source.archive is None:
            return source.reference
        if self.inline or not isinstance(self.cluster, Cluster):
            return ""
        return load_by_digest(self.cluster, source.archive)

    def serve(self, catalog: Catalog, title: str) -> None:
        """Have this catalog served in place of what was; returns before OLM has seen it.

        Raises
        ------
        SdkError
            It is too big for a ConfigMap, or its pod does not run.
        """
        text = serialize(catalog)
        if len(text.encode()) > _LIMIT:
            raise SdkError(
                f"the catalog with the objects of {self.package} in it has {len(text.encode())} bytes, "
                f"and a ConfigMap takes {_LIMIT}",
                hint="push the bundle's image to a registry and give its name instead of the directory",
            )
        if self.opm:
            address = f"{self._server}.{self.namespace}.svc:{_PORT}"
            apply(self.cluster, self._config_map(text, None), *self._served(text))
            self._rolled_out(_digest(text))
            source = catalog_source(self.name, self.namespace, address=address, title=title)
        else:
            assert isinstance(self.cluster, Cluster)
            with tempfile.TemporaryDirectory(prefix="kopf-sdk-catalog-") as folder:
                archive = Path(folder) / "catalog.tar"
                name = f"localhost/kopf-sdk/{self.name}:{_digest(text)[:12]}"
                catalog_image({f"{self.package}/{_KEY}": text}, name, archive)
                image = load_by_digest(self.cluster, archive)
            source = catalog_source(self.name, self.namespace, image=image, title=title)
        apply(self.cluster, source)
        owner = self.cluster.get("catalogsource.operators.coreos.com", self.name, "--namespace", self.namespace)
        apply(self.cluster, self._config_map(text, owner), *(self._served(text, owner) if self.opm else ()))

    @property
    def _server(self) -> str:
        return server_name(self.name)

    def _rolled_out(self, digest: str) -> None:
        """Wait until the catalog with this digest is served and none that was before it."""
        where = ("--namespace", self.namespace)
        end = time.monotonic() + _ROLLOUT
        while not _is_rolled_out(self.cluster.get("deployment", self._server, *where)):
            pods = self.cluster.get("pods", *where, "--selector", f"{_LABEL}={self.name}")["items"]
            mine = [pod for pod in pods if (pod["metadata"].get("annotations") or {}).get(_DIGEST) == digest]
            problem = next(filter(None, map(pod_problem, mine)), "")
            waits = next(filter(None, map(waiting_for, mine)), "it has no pod")
            if problem or time.monotonic() > end:
                raise SdkError(
                    f"the catalog is not served: {problem or f'{waits}, after {_ROLLOUT:.0f} s'}",
                    hint=f"can the nodes pull and run {self.opm}? --opm-image names another one",
                )
            time.sleep(0.3)

    def _metadata(self, name: str, owner: Mapping[str, Any] | None) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": dict(MANAGED_BY)}
        if owner is not None:  # goes with the CatalogSource
            kind = {key: owner[key] for key in ("apiVersion", "kind")}
            metadata["ownerReferences"] = [kind | {key: owner["metadata"][key] for key in ("name", "uid")}]
        return metadata

    def _config_map(self, text: str, owner: Mapping[str, Any] | None) -> dict[str, Any]:
        metadata = self._metadata(self.name, owner)
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_KEY: text}}

    def _served(self, text: str, owner: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The Deployment that serves the ConfigMap, and its Service."""
        labels = {_LABEL: self.name}
        probe = {"exec": {"command": ["grpc_health_probe", f"-addr=:{_PORT}"]}, "periodSeconds": 2, "timeoutSeconds": 5}
        container = {
            "name": "registry-server",
            "image": self.opm,
            "command": ["/bin/opm"],
            "args": ["serve", CATALOG_DIRECTORY, f"--port={_PORT}"],
            "ports": [{"name": "grpc", "containerPort": _PORT}],
            "readinessProbe": probe,
            "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            # One file: a ConfigMap mounted as a folder shows it twice, through the links that the kubelet makes.
            "volumeMounts": [
                {"name": "catalog", "mountPath": f"{CATALOG_DIRECTORY}/{_KEY}", "subPath": _KEY},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            ],
        }
        template = {
            "metadata": {
                "labels": labels | {"olm.catalogSource": self.name},
                "annotations": {_DIGEST: _digest(text)},
            },
            "spec": {
                "containers": [container],
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "volumes": [
                    {"name": "catalog", "configMap": {"name": self.name}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        }
        metadata = self._metadata(self._server, owner)
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        }
        ports = [{"name": "grpc", "port": _PORT, "targetPort": "grpc"}]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": ports},
        }
        return deployment, service


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_rolled_out(deployment: Mapping[str, Any]) -> bool:
    """As `kubectl rollout status` decides, for one replica."""
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return seen and all(status.get(key) == 1 for key in ("replicas", "updatedReplicas", "availableReplicas"))
