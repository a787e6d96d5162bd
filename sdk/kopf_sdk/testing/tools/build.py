"""Build what is missing, one program after the other, and link it into `.tools/bin`."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory, locked
from kopf_sdk.testing.tools import store
from kopf_sdk.testing.tools.estimate import Estimate, duration
from kopf_sdk.testing.tools.pins import Pins, Tool, load_pins
from kopf_sdk.testing.tools.toolchain import find_go, go_environment

__all__ = ["binary", "ensure", "find"]

# How often a build that takes long says so where lines cannot be overwritten (a log of CI).
_HEARTBEAT = 60.0


def ensure(names: Iterable[str] = (), *, console: Console | None = None) -> dict[str, Path]:
    """Programs that are there afterwards: from the cache, from PATH in exactly the pinned version, or built now.

    Parameters
    ----------
    names
        Tools and groups of tools.toml; none are all of them.
    console
        Where progress goes; standard error when left out. Nothing is printed when nothing has to be built.

    Returns
    -------
    dict
        Path of every program by its name, in the order of tools.toml.

    Raises
    ------
    SdkError
        An unknown name, no Go, or a build that failed: with its last lines and the path of its log.
    """
    pins = load_pins()
    wanted = pins.select(names)
    console = console or Console(stderr=True, highlight=False, soft_wrap=True)
    missing = [tool for tool in wanted if find(tool) is None]
    if missing:
        with locked(
            store.lock_file(),
            lambda holder: console.print(f"another build is under way (process {holder}), waiting for it"),
            enough=lambda: all(store.built(tool) for tool in missing),
        ) as lock:
            missing = [tool for tool in missing if store.built(tool) is None]
            if lock is not None and missing:
                _build_all(missing, pins, console, lock)
    return {tool.name: store.link(tool, _found(tool)) for tool in wanted}


def binary(name: str) -> Path:
    """Path of a program that has been built before.

    Raises
    ------
    SdkError
        It is not there; the hint has the command that builds it.
    """
    tool, *rest = load_pins().select([name])
    if rest:
        raise SdkError(f"{name} is a group of tools, not one")
    program = find(tool)
    if program is None:
        raise SdkError(f"{name} {tool.version} has not been built", hint=f"kopf-sdk tools build {name}")
    return store.link(tool, program)


def find(tool: Tool) -> Path | None:
    """The program in the cache, or the one on PATH when it says that it is exactly the pinned version."""
    return store.built(tool) or _on_path(tool)


def _found(tool: Tool) -> Path:
    program = find(tool)
    if program is None:
        raise SdkError(f"{tool.name} was there and is gone", hint=f"kopf-sdk tools build {tool.name}")
    return program


def _on_path(tool: Tool) -> Path | None:
    located = shutil.which(tool.name)
    if located is None or not tool.ask:
        return None
    program = Path(located).resolve()
    # Our own links may be on PATH, also those of another checkout with other pins.
    if program.is_relative_to(cache_directory()):
        return None
    return program if tool.tells(_ask(tool, program)) else None


def _ask(tool: Tool, program: Path) -> str:
    """What the program prints about itself; elsewhere, because operator-sdk fails in projects that it does not know."""
    command = [str(program), *tool.ask]
    try:
        answer = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return answer.stdout + answer.stderr


def _build_all(tools: Sequence[Tool], pins: Pins, console: Console, lock: int) -> None:
    go = find_go(max(tool.go for tool in tools), pins.directory, say=console.print)
    estimate = Estimate([tool.cpu for tool in tools])
    begin = time.monotonic()
    with store.workspace() as workspace:
        for number, tool in enumerate(tools, 1):
            start = time.monotonic()
            with _Progress(console, f"{tool.name} {tool.version} ({number} of {len(tools)})", estimate) as progress:
                fresh = _build(tool, go, workspace, lock, progress.beat)
                store.link(tool, store.keep(tool, fresh))
            took = time.monotonic() - start
            estimate.finished(took)
            left = f", about {duration(estimate.left())} left" if number < len(tools) else ""
            console.print(f"built {tool.name} {tool.version} in {duration(took)} ({number} of {len(tools)}{left})")
    if len(tools) > 1:
        console.print(f"{len(tools)} tools built in {duration(time.monotonic() - begin)}")


def _build(tool: Tool, go: Path, workspace: Path, lock: int, beat: Callable[[], None]) -> Path:
    """Compile and try it.

    The child inherits the lock: should this process be killed, the next one waits until the child is done.
    """
    fresh = workspace / tool.name
    flags = " ".join(["-s", "-w", *(f"-X {variable}" for variable in tool.link)])
    command = [str(go), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(fresh)]
    if tool.tags:
        command += ["-tags", ",".join(tool.tags)]
    log = store.log_file(tool)
    with log.open("w") as output:
        output.write(f"{' '.join(command)} {tool.package}\n")
        output.flush()
        process = subprocess.Popen(
            [*command, tool.package],
            cwd=tool.module,
            env=go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
        )
        try:
            while process.poll() is None:
                beat()
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SdkError(f"building {tool.name} failed:\n{last}", hint=f"the whole output is in {log}")
    if tool.ask and not tool.tells(answer := _ask(tool, fresh)):
        raise SdkError(
            f"{tool.name} was built but does not say that it is {tool.version}: {answer.strip()[:300]}",
            hint=f"check `ask` and `link` of tools.{tool.name} in tools.toml",
        )
    return fresh


class _Progress:
    """One line for the running build: overwritten on a terminal, repeated now and then elsewhere."""

    def __init__(self, console: Console, what: str, estimate: Estimate) -> None:
        self._console = console
        self._what = what
        self._estimate = estimate
        self._start = self._spoken = time.monotonic()
        self._live = Live(Spinner("dots", self), console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> _Progress:
        if self._live:
            self._live.start()
        else:
            self._console.print(f"building {self._line()}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __rich__(self) -> Text:
        return Text(f"building {self._line()}")

    def beat(self) -> None:
        if not self._live and time.monotonic() - self._spoken >= _HEARTBEAT:
            self._spoken = time.monotonic()
            self._console.print(f"building {self._line()}")

    def _line(self) -> str:
        elapsed = time.monotonic() - self._start
        left = self._estimate.left(elapsed)
        rest = f"about {duration(left)} left" if left >= 1 else "longer than expected"
        return f"{self._what}: {duration(elapsed)}, {rest}"
