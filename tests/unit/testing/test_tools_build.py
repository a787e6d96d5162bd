"""Building with the real Go: a program of five lines, in a cache of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import locked
from kopf_sdk.testing.tools import binary, ensure, store, toolchain
from kopf_sdk.testing.tools.pins import load_pins

MAIN = """package main

import "os"

var version = "unset"

func main() { os.Stdout.WriteString("hello " + version + "\\n") }
"""
TOOLS = """
[groups]
[link]
hello = ["main.version={version}"]
[tools.hello]
module = "hello"
package = "."
version = "1.2.3"
link = "hello"
ask = ["--version"]
cpu = 5
"""


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pins of one program and an empty cache. Go's own cache stays: else every test compiles the standard library."""
    go = toolchain.find_go((1, 24), load_pins().directory, say=print)
    monkeypatch.setenv("GOCACHE", subprocess.check_output([go, "env", "GOCACHE"], text=True).strip())
    folder = tmp_path / "tools"
    (folder / "hello").mkdir(parents=True)
    (folder / "hello" / "go.mod").write_text("module example.com/hello\n\ngo 1.24\n")
    (folder / "hello" / "main.go").write_text(MAIN)
    (folder / "tools.toml").write_text(TOOLS)
    monkeypatch.setenv("KOPF_SDK_TOOLS_DIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def console() -> Console:
    return Console(record=True, width=200, file=Path(os.devnull).open("w"))


def test_builds_links_and_does_nothing_the_second_time(pins: Path) -> None:
    first = console()
    path = ensure(["hello"], console=first)["hello"]
    assert subprocess.check_output([path], text=True) == "hello 1.2.3\n"
    assert path == binary("hello") == store.bin_directory() / "hello"
    assert path.is_symlink()
    said = first.export_text()
    assert "building hello 1.2.3 (1 of 1)" in said
    assert "built hello 1.2.3 in" in said

    before = path.stat().st_mtime_ns
    second = console()
    assert ensure(["hello"], console=second) == {"hello": path}
    assert second.export_text() == ""
    assert path.stat().st_mtime_ns == before


def test_changed_sources_are_built_again_and_the_old_program_is_kept(pins: Path) -> None:
    old = ensure(["hello"], console=console())["hello"].resolve()
    (pins / "hello" / "main.go").write_text(MAIN.replace("hello ", "good morning "))
    with pytest.raises(SdkError, match=r"hello 1\.2\.3 has not been built") as missing:
        binary("hello")
    assert missing.value.hint == "kopf-sdk tools build hello"
    new = ensure(["hello"], console=console())["hello"]
    assert subprocess.check_output([new], text=True) == "good morning 1.2.3\n"
    assert subprocess.check_output([old], text=True) == "hello 1.2.3\n"


def test_failed_build_shows_the_compiler_and_the_log_and_leaves_nothing(pins: Path) -> None:
    (pins / "hello" / "main.go").write_text(MAIN.replace("os.Stdout", "os.Stdoud"))
    with pytest.raises(SdkError, match=r"building hello failed:(.|\n)*undefined: os\.Stdoud") as error:
        ensure(["hello"], console=console())
    log = Path((error.value.hint or "").split()[-1])
    assert "os.Stdoud" in log.read_text()
    assert store.built(load_pins().tools["hello"]) is None


def test_program_that_tells_another_version_is_refused(pins: Path) -> None:
    (pins / "tools.toml").write_text(TOOLS.replace("main.version={version}", "main.version=9.9.9"))
    with pytest.raises(SdkError, match=r"does not say that it is 1\.2\.3: hello 9\.9\.9"):
        ensure(["hello"], console=console())


def test_program_on_path_is_used_only_in_exactly_the_pinned_version(
    pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "hello"
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    program.write_text("#!/bin/sh\necho hello v1.2.3\n")
    program.chmod(0o755)
    assert ensure(["hello"], console=console())["hello"].resolve() == program
    program.write_text("#!/bin/sh\necho hello v1.2.4\n")
    assert ensure(["hello"], console=console())["hello"].resolve() != program


ENSURE = "from kopf_sdk.testing.tools import ensure; print(ensure(['hello'])['hello'])"


def test_two_calls_at_once_build_once(pins: Path) -> None:
    calls = [
        subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [call.communicate(timeout=120) for call in calls]
    assert [call.returncode for call in calls] == [0, 0]
    assert len({out for out, _ in results}) == 1
    assert sum(err.count("built hello") for _, err in results) == 1


def test_after_kill_the_next_call_waits_for_the_orphan_and_goes_on(pins: Path, tmp_path: Path) -> None:
    """A `go` that takes its time stands in for a long build; killing its parent must not let a second one start."""
    slow = tmp_path / "slow"
    slow.mkdir()
    go = toolchain.find_go((1, 24), pins, say=print)
    wait = f"echo $$ > {slow}/pid; while [ ! -e {slow}/go-on ] && kill -0 {os.getpid()}; do sleep 0.1; done"
    (slow / "go").write_text(f'#!/bin/sh\n[ "$1" = build ] && {{ {wait}; }}\nexec {go} "$@"\n')
    (slow / "go").chmod(0o755)
    environment = os.environ | {"PATH": f"{slow}:{os.environ['PATH']}"}
    first = subprocess.Popen([sys.executable, "-c", ENSURE], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (slow / "pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()

    with subprocess.Popen([sys.executable, "-c", ENSURE], stderr=subprocess.PIPE, text=True) as second:
        assert second.stderr is not None
        assert f"another build is under way (process {first.pid})" in second.stderr.readline()
        (slow / "go-on").touch()
        assert "built hello 1.2.3" in second.stderr.read()
    assert second.returncode == 0
    assert not list((Path(os.environ["XDG_CACHE_HOME"]) / "kopf-sdk" / "tools").glob("tmp-*"))


def test_waiter_leaves_when_others_have_done_its_work(tmp_path: Path) -> None:
    told: list[str] = []
    with locked(tmp_path / "lock", told.append, enough=lambda: False) as held:
        assert held is not None
        with locked(tmp_path / "lock", told.append, enough=lambda: True) as second:
            assert second is None
    assert told == [str(os.getpid())]


@pytest.mark.full
def test_go_is_installed_from_pypi_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = load_pins().directory
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(toolchain, "_USUAL", ())
    monkeypatch.setattr("shutil.which", lambda name: None)
    said: list[str] = []
    go = toolchain.find_go((1, 26), pins, say=said.append)
    assert "go version go1.26" in subprocess.check_output([go, "version"], text=True)
    assert len(said) == 1
    assert toolchain.find_go((1, 26), pins, say=said.append) == go
    assert len(said) == 1
    with pytest.raises(SdkError, match=r"Go 1\.99 is needed"):
        toolchain.find_go((1, 99), pins, say=said.append)
