"""`/healthz` and `/readyz`, for the kubelet.

The answer itself proves that the main loop turns. Liveness fails when a watch was silent beyond its limit, neither data
nor a new try: a deaf operator is to be restarted. An API server that is away is no reason to restart, every try counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

__all__ = ["Check", "health_app"]

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


def health_app(live: Mapping[str, Check], ready: Mapping[str, Check]) -> web.Application:
    """Return the application that serves both; `?verbose` lists every check, as the API server's own endpoints do."""
    app = web.Application()
    app.router.add_get("/healthz", _endpoint(live))
    app.router.add_get("/readyz", _endpoint(ready))
    return app


def _endpoint(checks: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        problems = {name: check() for name, check in checks.items()}
        failed = any(problem is not None for problem in problems.values())
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [
            f"[+]{name} ok" if problem is None else f"[-]{name} failed: {problem}" for name, problem in problems.items()
        ]
        return web.Response(
            text="\n".join([*lines, "failed" if failed else "ok"]) + "\n", status=503 if failed else 200
        )

    return handle
