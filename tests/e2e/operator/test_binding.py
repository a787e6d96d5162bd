"""What an application finds in the binding Secret is enough to use the cache."""

from __future__ import annotations

import asyncio
import base64
import ssl

import pytest

from e2e.operator.certificates import Authority
from e2e.operator.conftest import Cache
from e2e.operator.test_access import dial, put_secret
from memcached_operator.wire import Login

pytestmark = pytest.mark.node


def bound(cache: Cache) -> dict[str, str]:
    """Return the content of the Secret that the status names."""
    name = cache.resource()["status"]["binding"]["name"]
    data = cache.cluster.get("secret", name, "-n", cache.namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_host_and_port_of_the_binding_answer(cache: Cache) -> None:
    cache.apply(containerPort=11244)
    cache.settle()
    binding = bound(cache)
    assert set(binding) == {"type", "provider", "host", "port"}
    assert binding["type"] == "memcached"
    assert cache.ask("version", host=binding["host"], port=int(binding["port"]))[0].startswith("VERSION 1.6.")


async def test_user_password_and_authority_of_the_binding_open_the_cache(cache: Cache) -> None:
    authority = Authority()
    host = f"cache.{cache.namespace}.svc"
    put_secret(cache, "certificate", authority.issue(host), "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a", "bob": "b"})
    cache.apply(tls={"secretName": "certificate", "plainPort": True}, auth={"secretName": "users"})
    await asyncio.to_thread(cache.settle)
    binding = bound(cache)
    assert binding["host"] == host
    trust = ssl.create_default_context(cadata=binding["ca.crt"])
    login = Login(binding["username"], binding["password"])
    async with dial(cache, int(binding["port"]), tls=trust, login=login, server_name=host) as connection:
        assert (await connection.version()).startswith("1.6.")
