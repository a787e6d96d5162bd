"""The process in the spare pod: old pod → spare memcached → new pod, once.

It listens on `--ready-port` as long as the old pod may go. When items were copied back it ends with 0 and with counts
as JSON in the termination message; else with 1 and a sentence.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from memcached_operator.fleet import client_context
from memcached_operator.handover.homeward import Homeward
from memcached_operator.handover.meta import Endpoint, open_session
from memcached_operator.handover.outward import HandoverError, Outward
from memcached_operator.handover.pace import Pace
from memcached_operator.handover.spare import GREETING_PORT, GREETING_WORD
from memcached_operator.wire import Login, WireError

__all__ = ["main"]

_TERMINATION_LOG = Path("/dev/termination-log")
_SPARE_STARTS = 120.0
_LOOK_UP_AGAIN = 0.1
_GREETING_TIMEOUT = 1.0
log = logging.getLogger("memcached_operator.handover")


def main(argv: Sequence[str] | None = None) -> None:
    """Hand over and exit."""
    options = _options().parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # PID 1 has no default for it
    try:
        message = asyncio.run(_hand_over(options))
    except (HandoverError, WireError, TimeoutError, OSError, ValueError, KeyError) as error:
        message = str(error) or f"not done within {options.deadline:g} s"
        log.error("%s", message)
        _say(message)
        sys.exit(1)
    log.info("%s", message)
    _say(message)


async def _hand_over(options: argparse.Namespace) -> str:
    login = _login(options.login_directory)
    tls = _tls(options.certificates, options.client_certificates)
    source = _endpoint(options.source, tls if options.source_tls else None, login if options.source_login else None)
    spare = Endpoint("127.0.0.1", options.spare_port)
    using = (tls if options.target_tls else None, login if options.target_login else None)
    greetings = _Greetings(os.environ.get(GREETING_WORD, ""))
    target = _Target(_endpoint(options.target, *using), options.target_address, source.host, greetings)
    readiness = _Readiness(options.ready_port)
    pace = Pace(options.bytes_per_second)
    async with asyncio.timeout(options.deadline):
        await greetings.listen(options.greeting_port)
        await _until_it_answers(spare)
        out = Outward(source, spare, pace, readiness.set)
        await out.run()
        log.info("the old pod is gone, waiting for the new one")
        kept = await Homeward(spare, target.found, pace, target.confirmed).run()
    return json.dumps(dataclasses.asdict(kept) | {"refused": kept.refused + out.refused})


class _Greetings:
    """Listens for the new pod, which says that it is there before its memcached starts: no client can be faster.

    Parameters
    ----------
    word
        What it has to say.
    """

    def __init__(self, word: str) -> None:
        self._word = word
        self.address = ""
        """Where it said that from."""

    async def listen(self, port: int) -> None:
        """Listen for as long as the process lives."""
        self._server = await asyncio.start_server(self._greeted, port=port)

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_GREETING_TIMEOUT):
                said = (await reader.readline()).decode(errors="replace").strip()
        except (OSError, TimeoutError, ValueError):
            said = ""
        if self._word and secrets.compare_digest(said.encode(), self._word.encode()):
            self.address = str(writer.get_extra_info("peername")[0])
            writer.write(b"welcome\n")
        writer.close()


class _Target:
    """Finds the new pod: through its greeting, a file that the operator has filled, or DNS, which may know the old one.

    The greeting alone is not believed: who is greeted gets the items.

    Parameters
    ----------
    named
        The new pod by its name.
    told
        The file.
    old
        Where it is not.
    greetings
        Where it may have said that it is there.
    """

    def __init__(self, named: Endpoint, told: Path, old: str, greetings: _Greetings) -> None:
        self._named, self._told, self._old, self._greetings = named, told, old, greetings
        self._looked_up = 0.0
        self._addresses: list[str] = []

    async def found(self) -> list[Endpoint]:
        """Return where the new pod may be, as far as anybody knows."""
        if self._greetings.address:
            return [dataclasses.replace(self._named, host=self._greetings.address)]
        return await self._known()

    async def confirmed(self, target: Endpoint) -> bool:
        """Tell whether others than the new pod itself say that it is there."""
        return target.host in [known.host for known in await self._known()]

    async def _known(self) -> list[Endpoint]:
        if self._told.exists() and (address := self._told.read_text().strip()):
            return [dataclasses.replace(self._named, host=address)]
        if time.monotonic() - self._looked_up > _LOOK_UP_AGAIN:
            self._looked_up = time.monotonic()
            self._addresses = await self._look_up()
        return [dataclasses.replace(self._named, host=address) for address in self._addresses]

    async def _look_up(self) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._named.host, self._named.port, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return [str(address[0]) for *_, address in found if address[0] != self._old]


class _Readiness:
    """A port that is open while the old pod may go: that is what the kubelet looks at."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wanted = False
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None

    def set(self, ready: bool) -> None:
        log.info("every item is in the spare" if ready else "behind the old pod")
        self._wanted = ready
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._become())

    async def _become(self) -> None:
        while self._wanted != (self._server is not None):
            if self._wanted:
                self._server = await asyncio.start_server(lambda _, writer: writer.close(), port=self._port)
            elif self._server is not None:
                self._server.close()
                self._server = None


async def _until_it_answers(spare: Endpoint) -> None:
    async with asyncio.timeout(_SPARE_STARTS):
        while True:
            try:
                async with open_session(spare) as session:
                    await session.version()
                    return
            except WireError:
                await asyncio.sleep(0.1)


def _endpoint(address: str, tls: ssl.SSLContext | None, login: Login | None) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host.strip("[]"), int(port), tls, login)


def _login(directory: Path | None) -> Login | None:
    if directory is None or not (directory / "username").exists():
        return None
    user, password = ((directory / name).read_text() for name in ("username", "password"))
    return Login(user, password)


def _tls(certificates: Path | None, client: Path | None) -> ssl.SSLContext | None:
    if certificates is None:
        return None
    return client_context(_files(certificates), _files(client) if client else None)


def _files(directory: Path) -> dict[str, bytes]:
    present = [path for name in ("ca.crt", "tls.crt", "tls.key") if (path := directory / name).exists()]
    return {path.name: path.read_bytes() for path in present}


def _say(message: str) -> None:
    if _TERMINATION_LOG.exists():
        _TERMINATION_LOG.write_text(message)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m memcached_operator.handover", description=__doc__)
    parser.add_argument("--source", required=True, metavar="HOST:PORT", help="the memcached that will go")
    parser.add_argument("--target", required=True, metavar="HOST:PORT", help="the memcached that will come")
    parser.add_argument("--target-address", type=Path, required=True, help="file that will hold its IP")
    parser.add_argument("--spare-port", type=int, default=11211, help="where the spare memcached listens on loopback")
    parser.add_argument("--ready-port", type=int, default=11212, help="open while the old memcached may go")
    parser.add_argument("--greeting-port", type=int, default=GREETING_PORT, help="where the new pod says it is there")
    for side in ("source", "target"):
        parser.add_argument(f"--{side}-tls", action="store_true")
        parser.add_argument(f"--{side}-login", action="store_true")
    parser.add_argument("--login-directory", type=Path, help="files `username` and `password`")
    parser.add_argument("--certificates", type=Path, help="files `tls.crt` and `ca.crt` of memcached")
    parser.add_argument("--client-certificates", type=Path, help="files `tls.crt` and `tls.key` to show to memcached")
    parser.add_argument("--bytes-per-second", type=float, default=64 * 2**20)
    parser.add_argument("--deadline", type=float, default=3600.0, metavar="SECONDS", help="for all of it")
    return parser


if __name__ == "__main__":
    main()
