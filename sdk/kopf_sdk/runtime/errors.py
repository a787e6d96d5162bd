"""What the API server answers when it does not do what was asked, by meaning (meta/v1 Status)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "ApiError",
    "ConflictError",
    "ForbiddenError",
    "GoneError",
    "InvalidError",
    "LeadershipLostError",
    "NotFoundError",
    "ServerError",
    "TerminalError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnreachableError",
]


class ApiError(Exception):
    """The API server refused a request, or did not answer.

    Parameters
    ----------
    message
        The server's words.
    status
        The HTTP status code; 0 when there was no answer.
    reason
        The machine-readable reason of the Status object, like `NotFoundError`.
    causes
        The fields at fault, as (field path, message).
    retry_after
        Seconds that the server asks to wait, if it does.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        reason: str = "",
        causes: tuple[tuple[str, str], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.causes = causes
        self.retry_after = retry_after

    @staticmethod
    def of(status: int, body: Any, headers: Mapping[str, str]) -> ApiError:
        """Build the error that a response means; `body` is the decoded Status object, or text from a proxy."""
        info: Mapping[str, Any] = body if isinstance(body, Mapping) else {"message": str(body)[:512]}
        details = info.get("details") or {}
        wait = headers.get("Retry-After") or details.get("retryAfterSeconds")
        causes = tuple((str(c.get("field", "")), str(c.get("message", ""))) for c in details.get("causes") or ())
        message = str(info.get("message") or f"HTTP {status}")
        return (InvalidError if _not_in_schema(status, message) else _class_of(status))(
            message,
            status=status,
            reason=str(info.get("reason") or ""),
            causes=causes,
            retry_after=float(wait) if wait and str(wait).replace(".", "", 1).isdigit() else None,
        )


class UnauthorizedError(ApiError):
    """401: the credentials are not, or no longer, valid."""


class ForbiddenError(ApiError):
    """403: the operator's roles do not allow it, or the namespace is being deleted."""

    @property
    def namespace_terminating(self) -> bool:
        """Whether the namespace is on its way out: nothing can be created in it, and nothing needs to be."""
        return "because it is being terminated" in self.message


class NotFoundError(ApiError):
    """404: the object, its namespace or its kind does not exist."""


class ConflictError(ApiError):
    """409: the object is not in the state that the request was made for."""


class GoneError(ApiError):
    """410: the history that a watch wanted to resume from is compacted."""


class InvalidError(ApiError):
    """400 or 422: the object itself is wrong; sending it again changes nothing."""


class TooManyRequestsError(ApiError):
    """429: come back after `retry_after`."""


class ServerError(ApiError):
    """5xx: the server's trouble, not ours."""


class UnreachableError(ApiError):
    """No answer: connection refused, reset, or timed out. Whether the server acted is not known."""


class LeadershipLostError(Exception):
    """This process may no longer act: another one may hold the lease."""


class TerminalError(Exception):
    """Raised by a reconcile function: trying again changes nothing until the resource does."""


_CLASSES: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}


def _not_in_schema(status: int, message: str) -> bool:
    """Whether a server-side apply was refused for a field that the kind does not have: the server says 500 to it."""
    return status == 500 and "failed to create typed patch object" in message


def _class_of(status: int) -> type[ApiError]:
    return ServerError if status >= 500 else _CLASSES.get(status, ApiError)
