"""The operator's way to memcached when it runs outside of the cluster: through the API server."""

from __future__ import annotations

import asyncio

import pytest

from e2e.operator.certificates import Authority, serial, serial_of
from e2e.operator.conftest import Cache
from e2e.operator.test_access import SERVER, put_secret
from kopf_sdk.runtime import Client
from kopf_sdk.runtime.client import Connection
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.credentials import Credentials
from memcached_operator.fleet import Access, Fleet
from memcached_operator.wire import Login, LoginRefusedError, WireError

pytestmark = pytest.mark.node


async def test_pods_answer_through_the_api_server_over_tls_with_a_login(cache: Cache) -> None:
    certificate = Authority().issue(SERVER)
    put_secret(cache, "certificate", certificate, "kubernetes.io/tls")
    put_secret(cache, "users", {"alice": "a"})
    cache.apply(size=2, tls={"secretName": "certificate"}, auth={"secretName": "users"})
    await asyncio.to_thread(cache.settle)
    pods = list(cache.pods().values())
    resource = Memcached.model_validate(cache.resource())
    content = {name: text.encode() for name, text in certificate.items()}
    access = Access.of(resource, Credentials(Login("alice", "a"), ()), content, None)
    assert access
    assert access.handshake

    fleet = Fleet(inside=False)
    assert await fleet.observe("cache", pods, access) == {}
    assert not fleet.reachable, "there is no way yet"
    async with Client(await Connection.load(str(cache.cluster.kubeconfig))) as client:
        fleet.through(client)
        seen = await fleet.observe("cache", pods, access)
        assert {name: one.item_memory for name, one in seen.items()} == dict.fromkeys(cache.pods(), 64 * 2**20)
        assert fleet.reachable
        async with fleet.dial(pods[0], access.handshake) as connection:
            assert serial(connection.certificate) == serial_of(certificate)
        async with fleet.dial(pods[0], access) as connection:
            value = "x" * 500_000
            assert await connection.command(f"set large 0 0 {len(value)}\r\n{value}") == "STORED"
            assert await connection.command("get large") == f"VALUE large 0 {len(value)}"
        wrong = Access.of(resource, Credentials(Login("alice", "b"), ()), content, None)
        assert wrong
        with pytest.raises(LoginRefusedError):
            async with fleet.dial(pods[0], wrong):
                pass
        gone = pods[0] | {"metadata": pods[0]["metadata"] | {"name": "nobody"}}
        with pytest.raises(WireError, match="port-forward to pod nobody"):
            async with fleet.dial(gone, access):
                pass
