"""A client of the API server for the load: connections that are kept, one per thread, and watches with clock times."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kopf_sdk.errors import SdkError

__all__ = ["MERGE_PATCH", "Manifest", "Server"]

Manifest = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"


class Server:
    """The API server at an address, as the administrator.

    Parameters
    ----------
    host, port
        Where it is.
    tls
        Trusts its CA and has a client certificate.
    """

    def __init__(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._where = (host, port)
        self._tls = tls
        self._local = threading.local()

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Manifest:
        """Send one request; return the decoded answer.

        Raises
        ------
        SdkError
            The server refused, with its words.
        """
        code, answer = self.ask(method, path, body, content_type)
        if code >= 300:
            raise SdkError(f"{method} {path}: {code}: {answer.get('message', answer)}")
        found: Manifest = answer
        return found

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        """Send one request; return status code and decoded answer."""
        connection = getattr(self._local, "connection", None) or self._connect()
        payload = None if body is None else json.dumps(body)
        headers = {"Accept": "application/json", "User-Agent": "bench"}
        if payload is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
        except (http.client.HTTPException, OSError):
            connection = self._connect()
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
        content = response.read()
        try:
            return response.status, json.loads(content or b"{}")
        except ValueError:
            return response.status, {"message": content.decode(errors="replace")}

    def pages(self, path: str, accept: str = "application/json") -> int:
        """Read a collection as reflectors do, 200 at a time; return its size in bytes."""
        connection = getattr(self._local, "connection", None) or self._connect()
        size, token = 0, ""
        while True:
            connection.request(
                "GET", f"{path}?limit=200&continue={token}", headers={"Accept": accept, "User-Agent": "bench"}
            )
            content = connection.getresponse().read()
            size += len(content)
            if not (token := json.loads(content)["metadata"].get("continue", "")):
                return size

    @contextmanager
    def watching(self, path: str, on_event: Callable[[str, Manifest, float], None]) -> Iterator[None]:
        """Have `on_event(type, object, monotonic time)` called in a thread for everything that happens from now on."""
        version = self.request("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
        connection = self._open(None)
        connection.request(
            "GET",
            f"{path}?watch=1&resourceVersion={version}",
            headers={"Accept": "application/json", "User-Agent": "bench"},
        )
        response = connection.getresponse()

        def follow() -> None:
            try:
                while line := response.readline():
                    arrived = time.monotonic()
                    event = json.loads(line)
                    on_event(event["type"], event["object"], arrived)
            except (OSError, ValueError, http.client.HTTPException, AttributeError):
                return  # closed below

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            if connection.sock is not None:
                connection.sock.shutdown(2)
            thread.join(5)
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        connection = self._open(60.0)
        self._local.connection = connection
        return connection

    def _open(self, timeout: float | None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(*self._where, context=self._tls, timeout=timeout)
