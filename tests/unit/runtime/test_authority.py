"""Whom the API server is told to trust: webhook configurations, and CRDs that a webhook converts."""

from __future__ import annotations

import asyncio
import base64
import copy
from pathlib import Path
from typing import Any, cast

import pytest

from kopf_sdk.runtime.authority import Authority
from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.errors import NotFoundError
from kopf_sdk.testing.harness import eventually

SECRET = "/api/v1/namespaces/here/secrets/webhook"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/mine"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/toys.example.com"
SERVICE = {"name": "webhook", "namespace": "here"}


class Server:
    """What an API server keeps, as far as an authority looks at it."""

    def __init__(self) -> None:
        conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {"service": SERVICE}}}
        self.objects: dict[str, Any] = {
            SECRET: {"metadata": {"resourceVersion": "1"}},
            CONFIGURATION: {"metadata": {"resourceVersion": "1"}, "webhooks": [{"name": "a", "clientConfig": {}}]},
            DEFINITION: {"metadata": {"resourceVersion": "7"}, "spec": {"conversion": conversion}},
        }
        self.patches: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "") -> Any:
        if path not in self.objects:
            raise NotFoundError(path)
        if method == "PUT":
            self.objects[path] = body
        if method == "PATCH":
            self.patches.append((path, content_type, body))
        return copy.deepcopy(self.objects[path])


async def step(server: Server, folder: Path, *configurations: str) -> list[tuple[str, str, Any]]:
    """Return what is patched to have these trust a new authority."""
    authority = Authority(
        cast("Client", server),
        namespace="here",
        secret="webhook",
        names=["webhook.here.svc"],
        configurations=configurations,
        directory=folder,
    )
    await authority.step()
    assert (folder / "tls.crt").exists()
    return server.patches


async def test_a_configuration_trusts_the_authority(tmp_path: Path) -> None:
    ((path, content_type, body),) = await step(Server(), tmp_path, "validatingwebhookconfigurations/mine")
    assert (path, content_type) == (CONFIGURATION, "application/strategic-merge-patch+json")
    assert body["webhooks"][0]["name"] == "a"


async def test_a_converted_definition_trusts_the_authority(tmp_path: Path) -> None:
    ((path, content_type, body),) = await step(Server(), tmp_path, "customresourcedefinitions/toys.example.com")
    assert (path, content_type) == (DEFINITION, "application/merge-patch+json")
    bundle = body["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"]
    assert base64.b64decode(bundle).startswith(b"-----BEGIN CERTIFICATE-----")
    assert body["metadata"] == {"resourceVersion": "7"}


@pytest.mark.parametrize("spec", [{}, {"conversion": {"strategy": "None"}}])
async def test_a_definition_that_no_webhook_converts_is_left_alone(tmp_path: Path, spec: dict[str, Any]) -> None:
    server = Server()
    server.objects[DEFINITION]["spec"] = spec
    assert await step(server, tmp_path, "customresourcedefinitions/toys.example.com") == []


async def test_what_does_not_exist_is_left_out(tmp_path: Path) -> None:
    absent = ["mutatingwebhookconfigurations/mine", "customresourcedefinitions/others.example.com"]
    assert await step(Server(), tmp_path, *absent) == []


async def test_a_directory_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("")
    directory = tmp_path / "in the way" / "certificates"
    authority = Authority(
        cast("Client", Server()),
        namespace="here",
        secret="webhook",
        names=["a"],
        configurations=[],
        directory=directory,
    )
    running = asyncio.create_task(authority.run(pause=0.01))
    try:
        await asyncio.sleep(0.1)
        (tmp_path / "in the way").unlink()
        await eventually((directory / "tls.crt").exists)
    finally:
        running.cancel()
