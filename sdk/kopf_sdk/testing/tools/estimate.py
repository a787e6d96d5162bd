"""How long the builds still take: expected CPU seconds, corrected by how the ones before went on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Estimate", "duration"]

# Of the cores, `go build` keeps busy this share over a whole build: the end of each is one linker.
_PARALLEL = 0.8


@dataclass
class Estimate:
    """Seconds left of a row of builds.

    Parameters
    ----------
    cpu
        CPU seconds of every build, in order, from an empty cache.
    cores
        Processors to use; the machine's when left out.
    """

    cpu: Sequence[float]
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    _seen: list[float] = field(default_factory=list)

    def finished(self, seconds: float) -> None:
        """The next build of the row took this long."""
        self._seen.append(seconds)

    def left(self, elapsed: float = 0.0) -> float:
        """Seconds until the last build is done, `elapsed` of which the running one has used.

        With a warm Go build cache the first finished build shows it, and the rest is expected to be as fast.
        """
        pace = self._pace()
        running, *rest = [*self.cpu[len(self._seen) :], 0.0]
        return max(running * pace - elapsed, 0.0) + sum(rest) * pace

    def _pace(self) -> float:
        """Wall seconds per expected CPU second."""
        assumed = 1 / max(1.0, self.cores * _PARALLEL)
        expected = sum(self.cpu[: len(self._seen)])
        # A prior worth one minute keeps a two-second build from deciding alone.
        return (sum(self._seen) + 60 * assumed) / (expected + 60)


def duration(seconds: float) -> str:
    """For people: 8 s, 1 min 20 s, 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min" if minutes >= 10 or not rest else f"{minutes} min {rest} s"
