"""memcached's text protocol, as far as an operator needs it: statistics, runtime settings, a login.

Source: memcached's doc/protocol.txt. One connection, one command at a time, every wait bounded.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["Connection", "Login", "LoginRefusedError", "WireError", "connect"]


class WireError(Exception):
    """memcached could not be reached, or did not answer as the protocol says."""


class LoginRefusedError(WireError):
    """memcached does not accept this user and password."""


@dataclass(frozen=True)
class Login:
    """A line of memcached's auth file."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


class Connection:
    """An open connection; `connect` makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self._timeout = timeout

    @property
    def certificate(self) -> bytes | None:
        """The certificate that memcached served, in DER; None without TLS."""
        tls = self._writer.get_extra_info("ssl_object")
        return tls.getpeercert(binary_form=True) if tls else None

    @property
    def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection's two directions, for a protocol that sends many commands at a time."""
        return self._reader, self._writer

    async def log_in(self, login: Login) -> None:
        """Authenticate. Raises LoginRefusedError when memcached knows no such user and password.

        Another answer ("ERROR Too many open connections", say) is none about the login.
        """
        credentials = f"{login.user} {login.password}"
        answer = await self.command(f"set auth 0 0 {len(credentials.encode())}\r\n{credentials}")
        if answer.startswith("CLIENT_ERROR"):
            raise LoginRefusedError(f"user {login.user}: {answer}")
        if answer != "STORED":
            raise WireError(f"answer to the login of {login.user}: {answer}")

    async def version(self) -> str:
        """Return memcached's version, like `1.6.45`."""
        answer = await self.command("version")
        keyword, _, version = answer.partition(" ")
        if keyword != "VERSION":
            raise WireError(f"answer to 'version': {answer}")
        return version

    async def stats(self, group: str = "") -> dict[str, str]:
        """Return the statistics of a group: general ones, or `settings`, `items`, `slabs`, …"""
        await self._send(f"stats {group}".rstrip())
        found: dict[str, str] = {}
        while (line := await self._line()) != "END":
            keyword, _, rest = line.partition(" ")
            if keyword != "STAT":
                raise WireError(f"answer to 'stats {group}': {line}")
            name, _, value = rest.partition(" ")
            found[name] = value
        return found

    async def limit_memory(self, mebibytes: int) -> None:
        """Set memcached's `-m` while it runs. Raises WireError when it refuses (with a memory file, for one)."""
        answer = await self.command(f"cache_memlimit {mebibytes}")
        if answer != "OK":
            raise WireError(f"answer to 'cache_memlimit {mebibytes}': {answer}")

    async def slab_pages(self) -> tuple[int, dict[int, int]]:
        """Return the bytes of all slab pages, and the number of pages by slab class that could spare one."""
        statistics = await self.stats("slabs")
        pages = {
            int(name.partition(":")[0]): int(value)
            for name, value in statistics.items()
            if name.endswith(":total_pages") and not name.startswith("0:")
        }
        return int(statistics["total_malloced"]), {slab: count for slab, count in pages.items() if count > 1}

    async def free_page(self, slab: int) -> None:
        """Take one page from a slab class; it is freed when memcached holds more than its limit.

        Items in it that fit elsewhere in their class are moved, the others are lost. A busy mover is waited for.
        """
        for _ in range(100):
            answer = await self.command(f"slabs reassign {slab} 0")
            if not answer.startswith("BUSY"):
                break
            await asyncio.sleep(0.005)
        if answer != "OK":
            raise WireError(f"answer to 'slabs reassign {slab} 0': {answer}")

    async def command(self, text: str) -> str:
        """Send one command whose answer is one line, and return that line."""
        await self._send(text)
        return await self._line()

    async def _send(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())
        try:
            await asyncio.wait_for(self._writer.drain(), self._timeout)
        except OSError as error:
            raise WireError(str(error)) from error

    async def _line(self) -> str:
        try:
            line = await asyncio.wait_for(self._reader.readline(), self._timeout)
        except TimeoutError as error:
            raise WireError(f"no answer within {self._timeout:g} s") from error
        except (OSError, ValueError) as error:
            raise WireError(str(error)) from error
        if not line.endswith(b"\r\n"):
            raise WireError("memcached closed the connection")
        return line[:-2].decode(errors="replace")


@asynccontextmanager
async def connect(
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    login: Login | None = None,
    sock: socket.socket | None = None,
    timeout: float = 3.0,  # noqa: ASYNC109 - bounds every single wait of the connection, not this call
) -> AsyncIterator[Connection]:
    """Open a connection, log in where a login is given, and close it at the end.

    Parameters
    ----------
    host, port
        Where memcached listens.
    tls
        Context to speak TLS with, or None for the plain protocol.
    server_name
        Name that the certificate must carry, when it is not `host`.
    sock
        Connected to memcached already, through something else.
    login
        User and password for a memcached that has an auth file.
    timeout
        Longest wait in seconds for the connection and for each answer.

    Raises
    ------
    WireError
        memcached cannot be reached, TLS fails, or an answer is late or no answer.
    LoginRefusedError
        The login is not in the auth file.
    """
    name = (server_name or host) if tls else None
    try:
        place = {"sock": sock} if sock else {"host": host, "port": port}
        opening = asyncio.open_connection(**place, ssl=tls, server_hostname=name)
        reader, writer = await asyncio.wait_for(opening, timeout)
    except TimeoutError as error:
        raise WireError(f"{host}:{port}: no connection within {timeout:g} s") from error
    except OSError as error:  # ssl.SSLError is one too
        raise WireError(f"{host}:{port}: {error}") from error
    try:
        connection = Connection(reader, writer, timeout)
        if login is not None:
            await connection.log_in(login)
        yield connection
    finally:
        writer.close()
