"""Programs of the host: what is missing is said at once, and installed with one command."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from kopf_sdk.errors import SdkError
from kopf_sdk.testing import packages
from kopf_sdk.testing.packages import Need, install, missing, require

# Stands in for apt: it writes down its arguments, and installing makes the program.
APT = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$*" in
  *install*broken*) echo "E: Unable to locate package broken"; exit 100;;
  *install*) for last; do :; done; printf '#!/bin/sh\\n' > "$BIN/$last"; /bin/chmod +x "$BIN/$last";;
esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with apt-get and a shell, and two features that need something."""
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    (bin_directory / "apt-get").write_text(APT)
    (bin_directory / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_directory))
    monkeypatch.setenv("BIN", str(bin_directory))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setattr(packages, "_SEARCH", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    features = {
        "cluster": (Need("runner", ("runner",)), Need("network", ("bridge", f"{tmp_path}/cni/bridge"))),
        "images": (Need("builder", ("podman", "builder"), docker=True),),
    }
    monkeypatch.setattr(packages, "FEATURES", features)
    return tmp_path


def program(host: Path, name: str, script: str = "") -> None:
    path = host / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def console() -> Console:
    return Console(record=True, width=200, file=Path(os.devnull).open("w"))


def test_everything_missing_is_listed_with_the_command(host: Path) -> None:
    with pytest.raises(SdkError, match="from the packages: builder, network, runner") as error:
        require("cluster", "images")
    assert error.value.hint == "apt-get install --no-install-recommends builder network runner"


def test_any_alternative_will_do(host: Path) -> None:
    program(host, "bin/podman")
    program(host, "cni/bridge")
    assert missing(["cluster", "images"]) == ["runner"]


def test_docker_counts_where_its_daemon_answers(host: Path) -> None:
    program(host, "bin/docker", "exit 1")
    assert missing(["images"]) == ["builder"], "the client alone builds nothing"
    program(host, "bin/docker")
    assert missing(["images"]) == []


def test_nothing_is_done_when_nothing_is_missing(host: Path) -> None:
    program(host, "bin/podman")
    said = console()
    assert install(said, ["images"]) == []
    assert said.export_text() == ""
    assert not (host / "record").exists()


def test_missing_packages_are_installed(host: Path) -> None:
    said = console()
    assert install(said, ["images"]) == ["builder"]
    assert "installing builder" in said.export_text()
    assert (host / "record").read_text().splitlines() == [
        "--quiet=2 update",
        "--quiet=2 install --yes --no-install-recommends builder",
    ]
    require("images")


def test_apt_is_quoted_when_it_fails(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "FEATURES", {"images": (Need("broken", ("broken",)),)})
    with pytest.raises(SdkError, match=r"apt-get install failed:\nE: Unable to locate package broken"):
        install(console(), ["images"])


def test_without_root_it_is_said_and_nothing_is_tried(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SdkError, match="builder") as error:
        install(console(), ["images"])
    assert error.value.hint == "sudo apt-get install --no-install-recommends builder"
    assert not (host / "record").exists()
