"""`kopf-sdk run --reload`: a changed file starts the command again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while text not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline, f"no {text!r} in {log.read_text() if log.exists() else 'nothing'!r}"
        time.sleep(0.1)


def test_it_starts_again_and_ends_with_an_interrupt(tmp_path: Path) -> None:
    program, log = tmp_path / "program.py", tmp_path / "log"
    source = "import time\nopen('log', 'a').write('started {}\\n')\ntime.sleep(600)\n"
    program.write_text(source.format("first"))
    run = "import sys; from kopf_sdk.cli import main; main(['run', '--reload', '--', sys.executable, 'program.py'])"
    process = subprocess.Popen(
        [sys.executable, "-c", run],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal; in a shell's background it would be ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 (one thread)
    )
    try:
        wait_for(log, "started first")
        program.write_text(source.format("second"))
        wait_for(log, "started second")
        program.write_text("raise SystemExit(1)")
        time.sleep(2)
        program.write_text(source.format("third"))
        wait_for(log, "started third")
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "program.py changed" in error
    assert log.read_text() == "started first\nstarted second\nstarted third\n"


def test_without_reload_the_exit_code_is_the_commands() -> None:
    run = "import sys; from kopf_sdk.cli import main; main(['run', '--', sys.executable, '-c', 'raise SystemExit(7)'])"
    assert subprocess.run([sys.executable, "-c", run], check=False).returncode == 7
