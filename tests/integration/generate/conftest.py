"""The control plane as these tests need it: kinds installed, and many requests over one connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes import config

from kopf_sdk.testing.cluster import Cluster

Send = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="session")
def send(control_plane: Cluster) -> Iterator[Send]:
    """`send(method, path, body)` → status code and JSON, over a connection that stays open."""
    client = config.new_client_from_config(str(control_plane.kubeconfig))  # type: ignore[no-untyped-call]
    pool: urllib3.PoolManager = client.rest_client.pool_manager
    host = client.configuration.host

    def send(method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        payload = None if body is None else json.dumps(body).encode()
        response = pool.request(
            method, host + path, body=payload, headers={"Content-Type": content_type}, retries=False
        )
        return response.status, json.loads(response.data)

    yield send
    client.close()


@pytest.fixture(scope="session")
def install(send: Send) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """`install(crd)`: create it, wait until its resources are served, return it as the API server has it."""

    def install(crd: dict[str, Any]) -> dict[str, Any]:
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        code, answer = send("POST", crds, crd)
        assert code == 201, answer["message"]
        for _ in range(100):
            _, found = send("GET", f"{crds}/{crd['metadata']['name']}")
            conditions = {one["type"]: one["status"] for one in found.get("status", {}).get("conditions") or []}
            if conditions.get("Established") == "True":
                time.sleep(0.2)  # Established comes a moment before the resource is served
                assert conditions.get("NonStructuralSchema", "False") == "False", found["status"]
                return dict(found)
            time.sleep(0.1)
        raise AssertionError(f"not established: {found['status']}")

    return install


@pytest.fixture(scope="session")
def kubeconfig(control_plane: Cluster) -> Path:
    return control_plane.kubeconfig
