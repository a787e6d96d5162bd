"""Just enough of an HTTP client for the API server, without starting kubectl (and its 60 MB) for every question."""

from __future__ import annotations

import http.client
import json
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kopf_sdk.errors import SdkError

__all__ = ["Api"]


class Api:
    """Requests as the cluster's administrator, each on a connection of its own (safe in threads).

    Parameters
    ----------
    port
        Where the API server is found on the host's loopback.
    pki
        Directory with `ca.crt`, `admin.crt` and `admin.key`.
    """

    def __init__(self, port: int, pki: Path) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> tuple[int, Any]:
        """Status code and body (parsed when it is JSON); code 0 when nobody answers. Timeout in seconds.

        For server-side apply the content type is `application/apply-patch+yaml`.
        """
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=timeout, context=self._tls)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": content_type} if payload else {})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        try:
            return response.status, json.loads(content)
        except ValueError:
            return response.status, content.decode(errors="replace")

    def get(self, path: str) -> tuple[int, Any]:
        """GET."""
        return self.request("GET", path)

    def ok(self, path: str, *, timeout: float = 30.0) -> bool:
        """Whether GET answers 200 (timeout in seconds)."""
        return self.request("GET", path, timeout=timeout)[0] == HTTPStatus.OK

    def create(self, path: str, body: Any) -> Any:
        """POST; returns the object that was made.

        Raises
        ------
        SdkError
            The API server refused, with its message.
        """
        code, answer = self.request("POST", path, body)
        if code not in (HTTPStatus.OK, HTTPStatus.CREATED):
            message = answer.get("message") if isinstance(answer, dict) else answer
            raise SdkError(f"POST {path}: {code or 'no answer'}: {message or ''}")
        return answer

    def delete(self, path: str) -> None:
        """DELETE, without waiting for the end of it; what is not there is fine."""
        self.request("DELETE", path)
