"""How fast items are copied: a bound on bytes per second, and on what is held in memory at a time."""

from __future__ import annotations

import asyncio
import time

__all__ = ["BATCH_BYTES", "BATCH_ITEMS", "Pace"]

BATCH_ITEMS = 200
BATCH_BYTES = 2 * 2**20
"""What is in memory at a time, beside one item of the largest size."""


class Pace:
    """Keeps an average of at most so many bytes per second.

    Parameters
    ----------
    bytes_per_second
        The bound; what was not used for a while is not saved up.
    """

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._free_at = time.monotonic()

    async def spend(self, size: int) -> None:
        """Wait until this many more bytes may have been copied."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
