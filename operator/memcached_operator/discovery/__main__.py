"""The endpoint's process: serves what the mounted ConfigMap says now."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import ssl
from collections.abc import Sequence
from pathlib import Path

from memcached_operator.discovery.protocol import answer, configuration
from memcached_operator.paths import SERVERS_PATH

__all__ = ["Endpoint", "main"]

_IDLE = 600.0
"""Seconds after which a silent connection is closed: clients ask about once a minute."""
_LINE = 2048
_CONNECTIONS = 500
_RELOAD = 10.0
log = logging.getLogger(__name__)


class Endpoint:
    """Answers clients. The list is read at every question: a mounted ConfigMap changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until it leaves, is silent for too long or says nothing that can be read."""
        self._open += 1
        try:
            while self._open <= _CONNECTIONS:
                line = await asyncio.wait_for(reader.readline(), _IDLE)
                if not line.endswith(b"\n") or (text := self._answer(line.decode(errors="replace"))) is None:
                    break
                writer.write(text.encode())
                await asyncio.wait_for(writer.drain(), _IDLE)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a line longer than the limit
            log.debug("a client is gone: %r", error)
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, line: str) -> str | None:
        version, servers = (self._directory / name for name in ("version", "servers"))
        return answer(line, configuration(version.read_text().strip(), servers.read_text().split()))


async def _run(port: int, endpoint: Endpoint, tls: Path | None) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if tls else None
    if context and tls:
        context.load_cert_chain(tls / "tls.crt", tls / "tls.key")
    server = await asyncio.start_server(endpoint.serve, port=port, ssl=context, limit=_LINE)
    async with server:
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), _RELOAD)
            except TimeoutError:
                if context and tls:
                    _load_again(context, tls)


def _load_again(context: ssl.SSLContext, directory: Path) -> None:
    """Serve the certificate that is mounted now; while it is half replaced, the one before."""
    try:
        context.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    except (OSError, ssl.SSLError) as error:
        log.warning("the certificate in %s cannot be read: %s", directory, error)


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m memcached_operator.discovery", description=__doc__)
    parser.add_argument("--port", type=int, default=11211, help="where clients ask")
    parser.add_argument("--directory", type=Path, default=Path(SERVERS_PATH), help="files `version` and `servers`")
    parser.add_argument("--tls-directory", type=Path, help="tls.crt and tls.key, where clients speak TLS")
    options = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    asyncio.run(_run(options.port, Endpoint(options.directory), options.tls_directory))


if __name__ == "__main__":
    main()
