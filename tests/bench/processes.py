"""Processes as the kernel sees them: CPU seconds, memory, when they started; and operators as processes."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError

__all__ = ["Foreign", "Operator", "cpu_seconds", "rss"]

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> float:
    """Resident memory of a process in MB (10⁶ bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


class Foreign:
    """How much of the machine processes that have nothing to do with the measurement take, from now on."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = list(pids)
        self._before = self._seconds()

    def share(self) -> float:
        """Return their share of the machine's CPU time since then, 0 to 1."""
        total, busy, own = (now - before for now, before in zip(self._seconds(), self._before, strict=True))
        return max(0.0, busy - own) / total if total else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        """Return all CPU time that passed, the busy part of it, and that of our processes."""
        user, nice, system, idle, waiting, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
        busy = user + nice + system + sum(rest)
        own = sum(map(cpu_seconds, self._pids)) + time.process_time()
        return (busy + idle + waiting) / TICKS, busy / TICKS, own


@dataclass
class Operator:
    """A running operator."""

    popen: subprocess.Popen[bytes]
    log: Path
    probe: int
    """Port of its /readyz."""
    started: float
    """Monotonic time of its start."""

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path, probe: int) -> Operator:
        """Start it; it ends with this process at the latest."""
        started = time.monotonic()
        with log.open("ab") as output:
            popen = subprocess.Popen(
                command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        atexit.register(popen.kill)
        return cls(popen, log, probe, started)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_ready(self, seconds: float = 120.0) -> float:
        """Wait for the readiness probe; return the seconds since the start."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise SdkError(f"the operator is not ready:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.01)
        return time.monotonic() - self.started

    def is_ready(self) -> bool:
        """Whether its readiness probe says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.probe}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_seconds(self.pid)

    def rss(self) -> float:
        """Resident MB."""
        return rss(self.pid)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal (again: nothing) and wait for the end; return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(60)
