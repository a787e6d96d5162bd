"""The exporter's process: asks memcached at every scrape, over the pod's own loopback in plain text."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from memcached_operator.exporter.families import families, up
from memcached_operator.wire import Login, WireError, connect

__all__ = ["MemcachedCollector", "main"]

log = logging.getLogger(__name__)


class MemcachedCollector(Collector):
    """What one memcached says of itself, asked anew for every scrape.

    Parameters
    ----------
    port
        Where memcached speaks plain text on loopback.
    login_directory
        Files `username` and `password`, where memcached wants a login. Read at every scrape: a mounted Secret changes.
    """

    def __init__(self, port: int, login_directory: Path | None = None) -> None:
        self._port = port
        self._login_directory = login_directory

    def collect(self) -> Iterable[Metric]:
        """Return memcached's metrics, or `memcached_up 0` when it does not answer."""
        try:
            return asyncio.run(self._ask())
        except (WireError, OSError, ValueError) as error:
            log.warning("memcached cannot be asked: %s", error)
            return [up(False)]

    async def _ask(self) -> Sequence[Metric]:
        async with connect("127.0.0.1", self._port, login=self._login()) as connection:
            return families(*[await connection.stats(group) for group in ("", "settings", "items", "slabs")])

    def _login(self) -> Login | None:
        if self._login_directory is None:
            return None
        user, password = (self._login_directory / name for name in ("username", "password"))
        return Login(user.read_text(), password.read_text())


def main(argv: Sequence[str] | None = None) -> None:
    """Serve metrics until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m memcached_operator.exporter", description=__doc__)
    parser.add_argument("--port", type=int, default=9150, help="where metrics are served")
    parser.add_argument("--memcached-port", type=int, default=11211, help="where memcached speaks plain text")
    parser.add_argument("--login-directory", type=Path, help="files `username` and `password` of a user of memcached")
    options = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # PID 1 has no default for it
    registry = CollectorRegistry()
    registry.register(MemcachedCollector(options.memcached_port, options.login_directory))
    ProcessCollector(registry=registry)
    address = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - Prometheus comes from outside
    _, thread = start_http_server(options.port, address, registry)
    thread.join()


if __name__ == "__main__":
    main()
