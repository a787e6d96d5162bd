"""Where credentials come from, and what answers mean."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime import client as client_module
from kopf_sdk.runtime.client import Client, Connection
from kopf_sdk.runtime.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    LeadershipLostError,
    NotFoundError,
    ServerError,
    TooManyRequestsError,
    UnreachableError,
)


async def test_a_rotated_service_account_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"token": "first", "ca.crt": "a certificate", "namespace": "mine"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(client_module, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.delenv("POD_NAMESPACE", raising=False)

    class Now(dt.datetime):
        late = dt.timedelta()

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime(2026, 1, 1) + cls.late

    library = SimpleNamespace(datetime=Now, timedelta=dt.timedelta)
    monkeypatch.setattr("kubernetes.aio.config.incluster_config.datetime", library)
    connection = await Connection.load()
    assert (connection.server, connection.namespace) == ("https://10.0.0.1:443", "mine")
    assert await connection.authorization() == {"authorization": "bearer first"}
    (tmp_path / "token").write_text("second")
    assert await connection.authorization() == {"authorization": "bearer first"}
    Now.late = dt.timedelta(minutes=2)
    assert await connection.authorization() == {"authorization": "bearer second"}
    Now.late = dt.timedelta(minutes=4)
    (tmp_path / "token").unlink()
    with pytest.raises(UnreachableError, match="no credentials"):
        await connection.authorization()


async def test_a_missing_kubeconfig_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(SdkError) as caught:
        await Connection.load(str(tmp_path / "none"))
    assert "KUBECONFIG" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, InvalidError),
        (429, TooManyRequestsError),
        (500, ServerError),
        (504, ServerError),
    ],
)
def test_an_answer_has_its_meaning(status: int, kind: type[ApiError]) -> None:
    body = {
        "message": "why",
        "reason": "Because",
        "details": {"causes": [{"field": "spec.x", "message": "wrong"}], "retryAfterSeconds": 3},
    }
    error = ApiError.of(status, body, {})
    assert type(error) is kind
    assert (str(error), error.reason, error.causes, error.retry_after) == (
        "why",
        "Because",
        (("spec.x", "wrong"),),
        3.0,
    )
    assert ApiError.of(status, "<html>", {"Retry-After": "7"}).retry_after == 7.0


class Server:
    """Answers as it is told, and counts."""

    def __init__(self, *answers: web.Response | float) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else web.json_response({"kind": "Ok"})
        if isinstance(answer, web.Response):
            return answer
        await asyncio.sleep(answer)
        return web.json_response({})


def refused(status: int, **headers: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": "no"}, status=status, headers=headers)


@pytest.fixture
async def ask(unused_tcp_port: int) -> Any:
    """`ask(server, method)` sends one request to a server that answers as told."""
    runners: list[web.AppRunner] = []

    async def send(server: Server, method: str, gate: Callable[[bool], float | None] | None = None) -> Any:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
        connection = Connection(f"http://127.0.0.1:{unused_tcp_port}", "ns", Configuration())
        async with Client(connection, timeout=0.5, gate=gate) as client:
            return await client.request(method, "/api/v1/namespaces", body={} if method != "GET" else None)

    yield send
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_a_server_that_asks_for_patience_gets_it(ask: Any, method: str) -> None:
    server = Server(refused(429, **{"Retry-After": "0"}), refused(503, **{"Retry-After": "0"}))
    assert await ask(server, method) == {"kind": "Ok"}
    assert server.asked == 3


async def test_who_asks_for_a_long_wait_is_left_to_the_queue(ask: Any) -> None:
    server = Server(refused(429, **{"Retry-After": "60"}))
    with pytest.raises(TooManyRequestsError) as caught:
        await ask(server, "PATCH")
    assert (caught.value.retry_after, server.asked) == (60.0, 1)


async def test_failed_reads_are_tried_again_and_failed_writes_are_not(ask: Any) -> None:
    reading = Server(refused(500))
    assert await ask(reading, "GET") == {"kind": "Ok"}
    assert reading.asked == 2


async def test_a_failed_write_is_the_callers_to_judge(ask: Any) -> None:
    writing = Server(refused(500))
    with pytest.raises(ServerError):
        await ask(writing, "PATCH")
    assert writing.asked == 1


async def test_a_server_that_does_not_answer_is_unreachable(ask: Any) -> None:
    with pytest.raises(UnreachableError):
        await ask(Server(2.0), "PATCH")


async def test_a_shut_gate_sends_nothing(ask: Any) -> None:
    def shut(writing: bool) -> float | None:
        raise LeadershipLostError("no")

    server = Server()
    with pytest.raises(LeadershipLostError):
        await ask(server, "GET", shut)
    assert server.asked == 0


async def test_a_write_takes_no_longer_than_the_lease(ask: Any) -> None:
    with pytest.raises(UnreachableError):
        await ask(Server(0.3), "PATCH", lambda writing: 0.05)


@pytest.mark.parametrize(("answers", "ends"), [(True, True), (False, False)])
async def test_a_watch_that_falls_silent_ends_and_one_that_never_answers_is_unreachable(
    unused_tcp_port: int, answers: bool, ends: bool
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if answers:
            await response.prepare(request)
            await response.write(b'{"type":"BOOKMARK"}\n')
        await asyncio.sleep(5)
        return response

    app = web.Application()
    app.router.add_get("/watch", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    configuration = Configuration(host=f"http://127.0.0.1:{unused_tcp_port}")
    lines: list[bytes] = []
    try:
        async with Client(Connection(configuration.host, "default", configuration)) as client:
            try:
                lines.extend([line async for line in client.stream("/watch", params={}, silence=1)])
            except UnreachableError:
                assert not ends
            else:
                assert ends
    finally:
        await runner.cleanup()
    assert lines == ([b'{"type":"BOOKMARK"}'] if answers else [])
