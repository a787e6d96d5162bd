"""Pods log in with what the operator's own Secrets hold; what others hold is forgotten with those who named it."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from memcached_operator.secrets import Secrets, own_secret

USERS = {"metadata": {"namespace": "ns", "name": "users", "resourceVersion": "5"}}


class Request:
    name, uid = "cache", "uid-1"

    def __init__(self, secret: dict[str, Any] | None) -> None:
        self._secret = secret

    def get(self, kind: Any, name: str) -> dict[str, Any] | None:
        return self._secret


def secret(owner: str | None, instance: str = "cache") -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}] if owner else []
    labels = {"app.kubernetes.io/instance": instance, "app.kubernetes.io/managed-by": "memcached-operator"}
    return {
        "metadata": {"name": "cache-operator", "labels": labels, "ownerReferences": owners},
        "data": {"username": base64.b64encode(b"operator").decode()},
    }


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        (secret("uid-1"), True),
        (secret(None), True),
        (secret("uid-2"), False),
        (secret(None, "other"), False),
        ({"metadata": {"name": "cache-operator"}}, False),
        (None, False),
    ],
)
def test_an_orphan_is_read_before_it_is_adopted(found: dict[str, Any] | None, kept: bool) -> None:
    """After `kubectl delete --cascade=orphan` a new login would have to be brought to every memcached."""
    request: Any = Request(found)
    assert own_secret(request, "cache-operator") == ({"username": b"operator"} if kept else {})


class Client:
    async def request(self, *_: Any) -> dict[str, Any]:
        return {**USERS, "data": {"password": base64.b64encode(b"secret").decode()}}


async def test_content_is_kept_until_the_last_resource_that_names_it_is_gone() -> None:
    secrets = Secrets()
    request: Any = SimpleNamespace(get=lambda kind, name: USERS, client=Client())
    nobody: Any = None
    for key in ("ns/a", "ns/b"):
        secrets.note(key, "ns", ["users"])
    assert await secrets.content(request, "users") == {"password": b"secret"}
    secrets.gone("ns/a")
    assert secrets.to_keys(USERS, nobody) == ("ns/b",)
    assert secrets._contents
    secrets.gone("ns/b")
    secrets.gone("never reconciled")
    assert (secrets.to_keys(USERS, nobody), secrets._contents, secrets._named) == ((), {}, {})
