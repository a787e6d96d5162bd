"""Debian packages of any suite, through the mirror that this machine uses, without touching its own apt.

apt checks the archive's signature (package debian-archive-keyring) and the packages' hashes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cache import cache_directory

__all__ = ["Mirrors", "Package", "fetch", "mirrors"]

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Mirrors:
    """Where the archive and its security updates are."""

    archive: str
    security: str

    def source(self, suite: str) -> str:
        """The line for sources.list."""
        url = self.security if suite.endswith("-security") else self.archive
        return f"deb [signed-by={_KEYRING}] {url} {suite} main"


@dataclass(frozen=True)
class Package:
    """A downloaded package."""

    name: str
    version: str
    """As Debian has it: [epoch:]upstream[-revision]."""
    file: Path

    @property
    def upstream(self) -> str:
        return re.sub(r"^\d+:|-[^-]*$", "", self.version)


def mirrors(etc: Path = Path("/etc/apt")) -> Mirrors:
    """The Debian mirror of $KOPF_SDK_DEBIAN_MIRROR, or of this machine's apt sources.

    Raises
    ------
    SdkError
        Neither names one.
    """
    urls = [named] if (named := os.environ.get("KOPF_SDK_DEBIAN_MIRROR", "").rstrip("/")) else list(_configured(etc))
    archive = next((url for url in urls if not url.endswith("-security")), None)
    if archive is None:
        raise SdkError(
            f"{etc}: the apt sources of this machine name no Debian mirror",
            hint="set KOPF_SDK_DEBIAN_MIRROR to the URL of one, as in sources.list",
        )
    security = next((url for url in urls if url.endswith("-security")), f"{archive}-security")
    return Mirrors(archive, security)


def _configured(etc: Path) -> Iterable[str]:
    """URLs of Debian archives in sources.list and sources.list.d; of Ubuntu's and other projects' none."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    one_line = r"^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)"
    for file, pattern in [
        *((file, one_line) for file in files),
        *((file, r"^URIs:\s*(\S+)") for file in sorted((etc / "sources.list.d").glob("*.sources"))),
    ]:
        if file.is_file():
            for url in re.findall(pattern, file.read_text(), re.MULTILINE):
                bare = url.rstrip("/")
                if bare.startswith(("http://", "https://")) and re.search(r"/debian(-security)?$", bare):
                    yield bare


def fetch(suites: Sequence[str], names: Sequence[str], into: Path) -> list[Package]:
    """Download the newest version of each package in the suites.

    Raises
    ------
    SdkError
        No apt, no keyring, an unreachable mirror or an unknown package: with what apt said.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SdkError(
            "images are made from Debian packages, and this machine has no apt-get and dpkg-deb",
            hint="install apt and dpkg, or use images of a registry",
        )
    if not _KEYRING.is_file():
        raise SdkError(f"{_KEYRING} is missing", hint="apt-get install debian-archive-keyring")
    state = cache_directory() / "apt" / "+".join(suites)
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    known = mirrors()
    (state / "sources.list").write_text("".join(known.source(suite) + "\n" for suite in suites))
    _apt(state, ["update", "--error-on=any"], state)
    _apt(state, ["download", *names], into)
    packages = [_describe(file) for file in sorted(into.glob("*.deb"))]
    if lacking := set(names) - {package.name for package in packages}:
        raise SdkError(f"apt did not download {', '.join(sorted(lacking))} from {known.archive} ({' '.join(suites)})")
    return packages


def _apt(state: Path, arguments: Sequence[str], directory: Path) -> None:
    """apt-get with what it keeps and reads about this machine pointed elsewhere; proxies stay as configured."""
    options = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        # The sandbox user of apt cannot read a cache in somebody's home.
        "APT::Sandbox::User": "",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        # Catalogs of graphical programs, configured on some machines.
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::CNF::DefaultEnabled": "false",
    }
    command = ["apt-get", "--quiet=2", *(f"--option={name}={value}" for name, value in options.items()), *arguments]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C.UTF-8"}
    )
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith(("E:", "W:", "Err:"))]
        raise SdkError(
            f"apt-get {arguments[0]} failed: {' '.join(said[:4]) or done.stderr.strip()[-400:]}",
            hint="is the Debian mirror reachable? KOPF_SDK_DEBIAN_MIRROR=URL names another one",
        )


def _describe(file: Path) -> Package:
    fields = subprocess.run(
        ["dpkg-deb", "--show", "--showformat=${Package} ${Version}", str(file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return Package(fields[0], fields[1], file)
