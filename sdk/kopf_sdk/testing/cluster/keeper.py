"""The one process on the host that holds a cluster: makes its PID 1, starts and watches components, forwards ports.

`python -m kopf_sdk.testing.cluster.keeper <state directory> <size> [<PID of the owner>]` is started by `up` and lives
as long as the cluster: PID 1 dies with the keeper, the keeper ends with PID 1. It does what it is told through a unix
socket (control.py) and decides nothing, but that it removes the cluster when an owner was named and has ended. A
component that ends stays ended until somebody asks for it again, so that tests can see it.

It has one thread: switching the network namespace for a socket must not be seen by other code.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster import init
from kopf_sdk.testing.cluster.addresses import API_PORT, NODE_IP
from kopf_sdk.testing.cluster.cgroups import find_hierarchies
from kopf_sdk.testing.cluster.forwarder import Forwarder
from kopf_sdk.testing.cluster.namespaces import INSIDE, NEWPID, network, setns, start_time, unshare
from kopf_sdk.testing.cluster.state import KeeperRecord, Layout, Size

__all__ = ["main"]


@dataclass
class _Component:
    """A process inside, and how to start it again."""

    argv: list[str]
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes]
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    starts: int = 1


class _Keeper:
    def __init__(self, layout: Layout, size: Size) -> None:
        self._layout = layout
        self._size = size
        self._components: dict[str, _Component] = {}
        self._record = KeeperRecord(pid=os.getpid(), started=start_time(os.getpid()))

    def _save(self) -> None:
        self._layout.save(self._record)

    def start_init(self) -> int:
        """Make the cgroups and the namespaces with their PID 1; returns a pidfd of it."""
        self._save()  # before anything exists that this process must be found for
        hierarchies = find_hierarchies()
        hierarchies.create(self._layout.cgroup)
        hierarchies.join(self._layout.cgroup)
        go_read, go_write = os.pipe()
        ready_read, ready_write = os.pipe()
        unshare(NEWPID)
        pid = os.fork()
        if pid == 0:
            os.close(go_write)
            os.close(ready_read)
            init.run(self._size, self._layout.directory, go_read, ready_write)
        os.close(go_read)
        os.close(ready_write)
        self._record.init_pid, self._record.init_started = pid, start_time(pid)
        self._save()
        descriptor = os.pidfd_open(pid)
        os.write(go_write, b"\0")
        os.close(go_write)
        answer = os.read(ready_read, 4096)
        os.close(ready_read)
        if answer != b"\0":
            sys.exit(f"PID 1 of the cluster: {answer.decode() or 'died'}")
        return descriptor

    async def serve(self, init_descriptor: int, owner: int | None) -> bool:
        """Forward the API's port, answer on the control socket, end when PID 1 or the owner does.

        Returns whether it was the owner.
        """
        loop = asyncio.get_running_loop()
        self._inside = init_descriptor
        ended, orphaned = asyncio.Event(), asyncio.Event()
        kill_init = functools.partial(os.kill, self._record.init_pid, signal.SIGKILL)
        loop.add_reader(init_descriptor, ended.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, kill_init)
        if owner is not None:

            def owner_ended() -> None:
                loop.remove_reader(owner)
                orphaned.set()
                kill_init()

            loop.add_reader(owner, owner_ended)
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._forwarder = Forwarder(init_descriptor, self._home)
        self._record.api_port = await self._publish_api()
        self._save()
        # Through the directory's descriptor: the path itself may be longer than a socket's address can be.
        directory = os.open(self._layout.directory, os.O_PATH | os.O_CLOEXEC)
        path = f"/proc/self/fd/{directory}/{self._layout.control_socket.name}"
        await asyncio.start_unix_server(self._answer, path)
        # PID 1 can only end after all others have been collected, so the loop has to go on until then.
        await ended.wait()
        os.waitpid(self._record.init_pid, 0)  # noqa: ASYNC222 (it has ended)
        return orphaned.is_set()

    async def _publish_api(self) -> int:
        """The same port each time when it is free: kubectl keeps a cache per address."""
        target = (NODE_IP, API_PORT)
        try:
            _, port = await self._forwarder.to_cluster(("127.0.0.1", self._layout.preferred_port), target)
        except OSError:
            _, port = await self._forwarder.to_cluster(("127.0.0.1", 0), target)
        return port

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._do(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        operation = getattr(self, f"_do_{request.pop('operation')}")
        try:
            return {"result": await operation(**request)}
        except (OSError, LookupError, subprocess.SubprocessError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    async def _do_status(self) -> dict[str, Any]:
        return {name: _status(component) for name, component in self._components.items()}

    async def _do_start(self, name: str, argv: list[str], env: dict[str, str], log: str) -> int:
        """Start a component, unless it runs already; returns its PID on the host."""
        known = self._components.get(name)
        if known and known.process.poll() is None:
            return known.process.pid
        component = _Component(
            argv, env, Path(log), self._spawn(argv, env, Path(log)), starts=known.starts + 1 if known else 1
        )
        self._components[name] = component
        self._watch(component)
        return component.process.pid

    async def _do_stop(self, name: str) -> None:
        """Kill a component and wait until it is gone."""
        component = self._components[name]
        if component.process.poll() is None:
            component.process.kill()
        await component.exited.wait()

    async def _do_restart(self, name: str, flags: Sequence[str] = ()) -> int:
        await self._do_stop(name)
        before = self._components[name]
        pid = await self._do_start(name, [*before.argv, *flags], before.env, str(before.log))
        self._components[name].argv = before.argv  # the flags are for this once
        return pid

    async def _do_signal(self, name: str, number: int) -> None:
        self._components[name].process.send_signal(number)

    async def _do_expose(self, host: str, port: int, listen_port: int) -> list[str | int]:
        """Let the cluster reach a port of the host's loopback at the node's address."""
        return list(await self._forwarder.to_host((NODE_IP, listen_port), (host, port)))

    async def _do_publish(self, address: str, port: int, listen_port: int) -> list[str | int]:
        """Let the host reach an address inside the cluster on its own loopback."""
        return list(await self._forwarder.to_cluster(("127.0.0.1", listen_port), (address, port)))

    async def _do_listens(self, address: str, port: int) -> bool:
        """Whether somebody accepts TCP connections there, seen from inside."""
        with network(self._inside, self._home), socket.socket() as sock:
            sock.settimeout(0.2)
            return sock.connect_ex((address, port)) == 0

    def _spawn(self, argv: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
        def enter() -> None:
            setns(self._inside, INSIDE)
            os.chdir("/")

        with log.open("ab") as output:
            return subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=enter,  # noqa: PLW1509 (this process has one thread)
            )

    def _watch(self, component: _Component) -> None:
        loop = asyncio.get_running_loop()
        descriptor = os.pidfd_open(component.process.pid)

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            component.process.wait()
            component.exited.set()

        loop.add_reader(descriptor, ended)


def _status(component: _Component) -> dict[str, Any]:
    code = component.process.poll()
    state = "exited" if code is not None else "running"
    if code is None:
        # The field after the command in parentheses: T is stopped by a signal.
        stat = Path(f"/proc/{component.process.pid}/stat").read_text().rpartition(")")[2].split()
        state = "stopped" if stat[0] in "Tt" else "running"
    return {"state": state, "pid": component.process.pid, "code": code, "starts": component.starts}


def main(directory: str, size: str, owner: str = "") -> NoReturn:
    """Hold the cluster with this state directory until it ends; returns to the caller at once, as a daemon does."""
    watched = _watch_owner(int(owner)) if owner else None
    if os.fork():
        os._exit(0)
    os.setsid()
    path = Path(directory)
    layout = Layout(path.name, path.parent)
    keeper = _Keeper(layout, Size(size))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        init_descriptor = keeper.start_init()
    except SdkError as error:
        sys.exit(f"{error.message} ({error.hint})")
    if asyncio.run(keeper.serve(init_descriptor, watched)):
        # Under another command line, so that it does not find and kill itself; out of the cgroups that it removes.
        find_hierarchies().leave()
        code = "import sys; from kopf_sdk.testing.cluster.processes import remove; remove(sys.argv[1])"
        os.execv(sys.executable, [sys.executable, "-c", code, directory])  # noqa: S606 (no shell is wanted)
    sys.exit(0)


def _watch_owner(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        sys.exit(f"the owner of the cluster, process {pid}, has ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
