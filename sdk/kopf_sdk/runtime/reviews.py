"""Who may read metrics: the API server is asked (TokenReview, SubjectAccessReview), and its answer kept for a while.

What kube-rbac-proxy did in a container of its own, and controller-runtime's metrics filters do in the process. The
operator needs to create both reviews; the reader needs `get` on the non-resource URL.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from kopf_sdk.runtime.client import Client
from kopf_sdk.runtime.errors import ApiError, LeadershipLostError

__all__ = ["Reviewer"]

KEPT = {200: 60.0, 401: 10.0, 403: 10.0}
"""Seconds for which an answer is believed: a right that was taken away, or given, counts after that."""
REMEMBERED = 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Reviewer:
    """Decides about requests by their bearer token."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[tuple[bytes, str, str], tuple[int, float]] = OrderedDict()

    def guard(self, handler: Handler) -> Handler:
        """Wrap a handler: 401 without a valid token, 403 without the right, 503 when the API server cannot be asked."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise web.HTTPUnauthorized(text="a bearer token is needed\n", headers={"WWW-Authenticate": "Bearer"})
            try:
                code = await self.decide(token.strip(), request.method.lower(), request.path)
            except (ApiError, LeadershipLostError) as error:
                raise web.HTTPServiceUnavailable(text=f"the API server cannot be asked: {error}\n") from error
            if code == 401:
                raise web.HTTPUnauthorized(text="the token is not valid\n", headers={"WWW-Authenticate": "Bearer"})
            if code == 403:
                raise web.HTTPForbidden(text=f"not allowed to {request.method.lower()} {request.path}\n")
            return await handler(request)

        return guarded

    async def decide(self, token: str, verb: str, path: str) -> int:
        """Return 200, 401 or 403.

        Raises
        ------
        ApiError
            If the API server does not answer; nothing is remembered then.
        """
        key = (hashlib.sha256(token.encode()).digest(), verb, path)
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        code = await self._ask(token, verb, path)
        self._known[key] = (code, self._clock() + KEPT[code])
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return code

    async def _ask(self, token: str, verb: str, path: str) -> int:
        review = await self._review("authentication.k8s.io", "TokenReview", {"token": token})
        if not review.get("authenticated"):
            return 401
        user = review.get("user") or {}
        access = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "nonResourceAttributes": {"path": path, "verb": verb},
        }
        decision = await self._review("authorization.k8s.io", "SubjectAccessReview", access)
        return 200 if decision.get("allowed") else 403

    async def _review(self, group: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        answer = await self._client.request("POST", f"/apis/{group}/v1/{kind.lower()}s", body=body)
        status: dict[str, Any] = answer.get("status") or {}
        return status
