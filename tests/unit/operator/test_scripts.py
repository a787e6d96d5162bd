"""The scripts are run as the kubelet runs them, by POSIX shells, with stand-ins of memcached on loopback."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from memcached_operator import paths
from memcached_operator.scripts import scripts
from waiting import eventually

SHELLS = [["dash"], ["busybox", "sh"]]
PLACES = (
    paths.CONFIG_PATH,
    paths.POD_PATH,
    paths.STATE_PATH,
    paths.CACHE_PATH,
    paths.TLS_PATH,
    paths.AUTH_PATH,
    paths.LOGIN_PATH,
)


class Pod:
    """The folders of a pod somewhere else, with its scripts pointed there."""

    def __init__(self, root: Path, shell: list[str], *, warm: bool = False) -> None:
        self.root, self.shell = root, shell
        for path in (paths.CONFIG_PATH, paths.POD_PATH, paths.STATE_PATH, *([paths.CACHE_PATH] if warm else [])):
            (root / path[1:]).mkdir(parents=True)
        for name, text in scripts().items():
            here = text
            for path in PLACES:
                here = here.replace(f"={path} ", f"={root}{path} ").replace(f" {path}/", f" {root}{path}/")
            self.write(paths.CONFIG_PATH, name, here)
        self.write(paths.POD_PATH, "arguments", "d1")

    def write(self, folder: str, name: str, text: str) -> None:
        (self.root / folder[1:]).mkdir(parents=True, exist_ok=True)
        (self.root / folder[1:] / name).write_text(text)

    def read(self, folder: str, name: str) -> str:
        return (self.root / folder[1:] / name).read_text()

    def memcached(self, script: str) -> None:
        """Put a stand-in for memcached on the PATH."""
        program = self.root / "memcached"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def start(self, name: str = "start.sh", *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.shell, f"{self.root}{paths.CONFIG_PATH}/{name}", *words],
            env={"PATH": f"{self.root}:/usr/bin:/bin", "HOSTNAME": "cache-0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a container; below nohup it would be ignored, and a shell cannot change that.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 (one thread)
        )


@pytest.fixture(params=SHELLS, ids=lambda shell: str(shell[0]))
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    return Pod(tmp_path, request.param)


@pytest.fixture(params=SHELLS, ids=lambda shell: str(shell[0]))
def warm(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    return Pod(tmp_path, request.param, warm=True)


def test_the_start_script_hands_every_line_on_as_one_word_and_becomes_memcached(pod: Pod) -> None:
    pod.write(paths.CONFIG_PATH, "arguments-d1", "--port=1\n--extended=a b\n*\nlast-without-newline")
    pod.write(paths.POD_PATH, "item-memory", "100")
    pod.memcached('echo "pid $$"\nfor a; do echo "<$a>"; done')
    process = pod.start()
    said = process.communicate(timeout=60)[0].splitlines()
    words = ["--port=1", "--extended=a b", "*", "last-without-newline", "--memory-limit=100"]
    assert said == [f"pid {process.pid}", *(f"<{word}>" for word in words)]
    assert pod.read(paths.STATE_PATH, "arguments") == "d1\n"


def test_a_pod_starts_with_the_arguments_that_its_own_annotation_names(pod: Pod) -> None:
    pod.write(paths.CONFIG_PATH, "arguments-d1", "--old\n")
    pod.write(paths.CONFIG_PATH, "arguments-d2", "--new\n")
    pod.memcached('echo "$@"')
    assert pod.start().communicate(timeout=60)[0] == "--old\n"
    pod.write(paths.POD_PATH, "arguments", "d2")
    assert pod.start().communicate(timeout=60)[0] == "--new\n"


def test_a_new_pod_greets_the_spare_that_has_its_items_and_starts_also_without_an_answer(pod: Pod) -> None:
    pod.write(paths.CONFIG_PATH, "arguments-d1", "")
    pod.memcached("echo running")
    with socket.create_server(("127.0.0.1", 0)) as spare:
        spare.settimeout(10)
        pod.write(paths.CONFIG_PATH, "handover-cache-0", f"127.0.0.1 {spare.getsockname()[1]} a-word\n")
        process = pod.start()
        connection, _ = spare.accept()
        with connection, connection.makefile() as said:
            assert said.readline() == "a-word\n"
        assert process.communicate(timeout=60)[0] == "running\n"
        assert pod.start().communicate(timeout=60)[0] == "running\n", "a restart of memcached is no new pod"
    (pod.root / paths.STATE_PATH[1:] / "arguments").unlink()
    assert pod.start().communicate(timeout=60)[0] == "running\n", "nobody listens any more"


SAVING = """
trap 'echo hup' HUP
trap 'echo saved; exit 3' USR1
trap 'echo lost; exit 4' TERM
echo "running $*"
while :; do sleep 0.05; done"""


def test_with_a_memory_file_the_kubelets_sigterm_reaches_memcached_as_the_signal_that_saves(warm: Pod) -> None:
    warm.write(paths.CONFIG_PATH, "arguments-d1", "--memory-file=x\n")
    warm.memcached(SAVING)
    process = warm.start()
    assert process.stdout
    assert process.stdout.readline() == "running --memory-file=x\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "hup\n"
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "saved\n"
    assert process.returncode == 3, "the container ends as memcached did"


def test_sigusr2_starts_memcached_again_with_the_arguments_that_the_pod_has_now(warm: Pod) -> None:
    warm.write(paths.CONFIG_PATH, "arguments-d1", "--threads=4\n")
    warm.write(paths.CONFIG_PATH, "arguments-d2", "--threads=8\n")
    warm.memcached(SAVING)
    process = warm.start()
    assert process.stdout
    assert process.stdout.readline() == "running --threads=4\n"
    warm.write(paths.POD_PATH, "arguments", "d2")
    process.send_signal(signal.SIGUSR2)
    assert [process.stdout.readline() for _ in range(2)] == ["saved\n", "running --threads=8\n"]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "saved\n"
    assert process.returncode == 3


def test_a_crash_leaves_no_memory_file_because_what_is_in_it_may_be_torn(warm: Pod) -> None:
    warm.write(paths.CONFIG_PATH, "arguments-d1", "")
    warm.write(paths.CACHE_PATH, "items", "torn")
    warm.write(paths.CACHE_PATH, "items.meta", "Tmain\nKmaxbytes 1\nKmmap_oldb")
    warm.memcached("kill -KILL $$")
    process = warm.start()
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGKILL
    assert list((warm.root / "cache").iterdir()) == []


def test_what_was_saved_is_kept_and_the_second_of_the_stop_waited_out(warm: Pod) -> None:
    warm.write(paths.CONFIG_PATH, "arguments-d1", "")
    warm.write(paths.CACHE_PATH, "items", "items")
    stopped = int(time.time())
    warm.write(paths.CACHE_PATH, "items.meta", f"Tmain\nKstop_time {stopped}\nKmmap_oldbase 0x1\n")
    warm.memcached("date +%s")
    said = warm.start().communicate(timeout=60)[0]
    assert int(said) > stopped
    assert warm.read(paths.CACHE_PATH, "items") == "items"


def test_a_stop_while_it_waits_leaves_the_saved_items_to_the_next_start(warm: Pod) -> None:
    warm.write(paths.CONFIG_PATH, "arguments-d1", "")
    warm.write(paths.CACHE_PATH, "items", "items")
    future = int(time.time()) + 60
    warm.write(paths.CACHE_PATH, "items.meta", f"Tmain\nKstop_time {future}\nKmmap_oldbase 0x1\n")
    warm.memcached("echo started")
    process = warm.start()
    eventually((warm.root / "run/memcached/arguments").exists)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0
    assert warm.read(paths.CACHE_PATH, "items") == "items"


class Answering:
    """Listens on loopback and answers every connection alike; remembers what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer, self.asked = answer, b""
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                while chunk := connection.recv(256):
                    self.asked += chunk
                    if b"quit" in self.asked:
                        break
                connection.sendall(self.answer)


def probe(pod: Pod, answer: bytes, arguments: str = "--port=PORT\n", *words: str) -> tuple[int, str, bytes]:
    listener = Answering(answer)
    pod.write(paths.CONFIG_PATH, "arguments-d1", arguments.replace("PORT", str(listener.port)))
    pod.write(paths.STATE_PATH, "arguments", "d1\n")
    if not (pod.root / "run/memcached/loaded").exists():
        summed = subprocess.run(["sha256sum"], input="", capture_output=True, text=True, check=True).stdout
        pod.write(paths.STATE_PATH, "loaded", summed)
    process = pod.start("probe.sh", *words)
    said = "".join(process.communicate(timeout=60))
    listener.server.close()
    return process.returncode, said, listener.asked


VERSION = b"VERSION 1.6.45\r\n"
FULL = b"ERROR Too many open connections\r\n"
UNKNOWN = b"CLIENT_ERROR authentication failure\r\nCLIENT_ERROR unauthenticated\r\n"
CLOSED = b""
"""What 1.6.45 makes of a refused login and `quit` in one packet."""


@pytest.mark.parametrize(("answer", "exit_code"), [(VERSION, 0), (FULL, 0), (b"ERROR\r\n", 1), (b"", 1)])
def test_the_probe_passes_only_when_memcached_answers(pod: Pod, answer: bytes, exit_code: int) -> None:
    assert probe(pod, answer)[0] == exit_code


@pytest.mark.parametrize(("answer", "exit_code"), [(VERSION, 0), (FULL, 0), (UNKNOWN, 0), (CLOSED, 0)])
def test_memcached_is_alive_as_long_as_it_says_anything_or_hangs_up(pod: Pod, answer: bytes, exit_code: int) -> None:
    assert probe(pod, answer, "--port=PORT\n", "alive")[0] == exit_code


def test_the_probe_ends_soon_and_leaves_nothing_behind_where_memcached_hangs(pod: Pod) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        pod.write(paths.CONFIG_PATH, "arguments-d1", f"--port={hanging.getsockname()[1]}\n")
        pod.write(paths.STATE_PATH, "arguments", "d1\n")
        process = pod.start("probe.sh")
        process.communicate(timeout=5)  # its end is seen when nobody has its output open any more
    assert process.returncode == 1


def test_memcached_is_not_alive_when_it_hangs_or_nobody_listens(pod: Pod) -> None:
    script = pod.read(paths.CONFIG_PATH, "probe.sh")
    pod.write(paths.CONFIG_PATH, "probe.sh", script.replace("PATIENCE=8", "PATIENCE=1"))
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        pod.write(paths.CONFIG_PATH, "arguments-d1", f"--port={hanging.getsockname()[1]}\n")
        pod.write(paths.STATE_PATH, "arguments", "d1\n")
        for _ in range(2):
            process = pod.start("probe.sh", "alive")
            process.communicate(timeout=5)
            assert process.returncode == 1
            hanging.close()


def test_an_nc_that_ends_well_when_it_has_waited_enough_is_not_taken_for_a_memcached_that_hangs_up(pod: Pod) -> None:
    nc = pod.root / "nc"  # OpenBSD's
    nc.write_text('#!/bin/sh\nsleep "$2"\n')
    nc.chmod(0o755)
    script = pod.read(paths.CONFIG_PATH, "probe.sh")
    pod.write(paths.CONFIG_PATH, "probe.sh", script.replace("PATIENCE=8", "PATIENCE=1"))
    pod.write(paths.CONFIG_PATH, "arguments-d1", "--port=1\n")
    pod.write(paths.STATE_PATH, "arguments", "d1\n")
    process = pod.start("probe.sh", "alive")
    process.communicate(timeout=5)
    assert process.returncode == 1


def test_the_probe_ends_soon_where_memcached_does_not_even_take_the_connection(pod: Pod) -> None:
    """So many clients try again and again that the kernel has no room for one more: connecting takes two minutes."""
    with ExitStack() as clients, socket.create_server(("127.0.0.1", 0), backlog=0) as hanging:
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(hanging.getsockname())
        pod.write(paths.CONFIG_PATH, "arguments-d1", f"--port={hanging.getsockname()[1]}\n")
        pod.write(paths.STATE_PATH, "arguments", "d1\n")
        process = pod.start("probe.sh")
        process.communicate(timeout=6)
    assert process.returncode == 1


def test_the_probe_asks_in_plain_text_on_loopback_where_clients_need_tls(pod: Pod) -> None:
    assert probe(pod, VERSION, "--listen=notls:127.0.0.1:PORT,*:11211\n--enable-ssl\n")[0] == 0


def test_a_pod_goes_on_with_its_arguments_when_the_config_map_has_lost_them(pod: Pod) -> None:
    """Made anew after somebody deleted it, it has those that the resource asks for now and no others."""
    pod.memcached('echo "$@"')
    listener = Answering(VERSION)
    pod.write(paths.CONFIG_PATH, "arguments-d1", f"--port={listener.port}\n")
    assert pod.start().communicate(timeout=10)[0] == f"--port={listener.port}\n"
    (pod.root / paths.CONFIG_PATH[1:] / "arguments-d1").unlink()
    pod.write(paths.CONFIG_PATH, "arguments-d2", "--port=1\n")
    process = pod.start("probe.sh")
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0
    assert pod.start().communicate(timeout=10)[0] == f"--port={listener.port}\n"


def test_the_probe_logs_in_where_there_are_users(pod: Pod) -> None:
    pod.write(paths.LOGIN_PATH, "username", "operator")
    pod.write(paths.LOGIN_PATH, "password", "a%s\\$1")
    code, said, asked = probe(pod, VERSION)
    assert code == 0, said
    assert asked.startswith(b"set auth 0 0 15\r\noperator a%s\\$1\r\nversion\r\n")


def test_the_probe_fails_when_nobody_listens(pod: Pod) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    pod.write(paths.CONFIG_PATH, "arguments-d1", f"--port={port}\n")
    pod.write(paths.STATE_PATH, "arguments", "d1\n")
    process = pod.start("probe.sh")
    process.communicate(timeout=60)
    assert process.returncode == 1


def signals(pod: Pod) -> None:
    """Let the probe write down whom it signals, instead of doing so to this machine's first process."""
    script = pod.read(paths.CONFIG_PATH, "probe.sh")
    pod.write(paths.CONFIG_PATH, "probe.sh", script.replace("kill -", "echo signal "))


def test_the_probe_has_memcached_read_changed_secrets_once(pod: Pod) -> None:
    signals(pod)
    pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
    assert probe(pod, VERSION)[:2] == (0, "signal HUP 1\n")
    assert probe(pod, VERSION)[:2] == (0, "")
    pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
    for version in (b"1.6.39", b"1.6.9_rc1", b"1.6.21-dirty", b"1.6.4", b"1.5.22", b"unknown"):
        pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
        code, said, asked = probe(pod, b"VERSION %s\r\n" % version)
        assert (code, said) == (0, ""), "SIGHUP ends it"
        assert b"refresh_certs" in asked
    for version in (b"1.6.40", b"1.6.45-dirty", b"1.6.100", b"1.7.0", b"1.10.1", b"2.0"):
        pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
        assert probe(pod, b"VERSION %s\r\n" % version)[:2] == (0, "signal HUP 1\n")


@pytest.mark.parametrize(("answer", "exit_code"), [(FULL, 0), (UNKNOWN, 1), (CLOSED, 1)])
def test_secrets_are_read_again_also_where_memcached_does_not_talk_to_the_probe(
    pod: Pod, answer: bytes, exit_code: int
) -> None:
    """Else a new login of the probe would be refused for ever: only the probe has memcached read it."""
    signals(pod)
    pod.memcached("echo memcached 1.6.45")
    pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
    code, said, _ = probe(pod, answer)
    assert (code, said.startswith("signal HUP 1\n")) == (exit_code, True)
    assert "signal" not in probe(pod, answer)[1]
    pod.memcached("echo memcached 1.6.39")
    pod.write(paths.STATE_PATH, "loaded", "an older sum\n")
    assert "signal" not in probe(pod, answer)[1]


def test_the_probe_restarts_memcached_only_where_that_is_warm_and_only_in_its_turn(warm: Pod) -> None:
    signals(warm)
    warm.write(paths.CONFIG_PATH, "arguments-d2", "")
    assert probe(warm, VERSION)[:2] == (0, ""), "its annotation names what it was started with"
    warm.write(paths.POD_PATH, "arguments", "d2")
    assert probe(warm, VERSION)[:2] == (1, "signal USR2 1\nmemcached restarts with other arguments\n")
    warm.write(paths.POD_PATH, "arguments", "d3")
    assert probe(warm, VERSION)[:2] == (0, ""), "these arguments are not mounted yet"


def test_without_a_memory_file_the_probe_never_restarts_memcached(pod: Pod) -> None:
    signals(pod)
    pod.write(paths.CONFIG_PATH, "arguments-d2", "")
    pod.write(paths.POD_PATH, "arguments", "d2")
    assert probe(pod, VERSION)[:2] == (0, "")
