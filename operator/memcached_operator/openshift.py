"""Whether the cluster is OpenShift, which chooses the user of every pod itself and refuses another one."""

from __future__ import annotations

import time
from collections.abc import Callable

from kopf_sdk.runtime import ApiError, Request
from memcached_operator.api.v1alpha1 import Memcached

__all__ = ["OpenShift"]

_GROUP = "/apis/security.openshift.io"
_ASK_AGAIN = 10.0
"""Seconds. An API server that just started does not know all of its groups yet."""


class OpenShift:
    """Remembers the answer of the cluster: for good once it is yes, because going back would replace every pod."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found = False
        self._asked = float("-inf")

    async def found(self, request: Request[Memcached]) -> bool:
        """Tell whether the group of SecurityContextConstraints is served. Raises ApiError when that is not known."""
        if not self._found and self._clock() - self._asked >= _ASK_AGAIN:
            try:
                await request.client.request("GET", _GROUP)
                self._found = True
            except ApiError as error:
                if error.status != 404:
                    raise
            self._asked = self._clock()
        return self._found
