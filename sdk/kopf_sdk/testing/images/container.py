"""Build an image from a Containerfile with docker, podman or buildah, whichever this machine has."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images.base import base_image
from kopf_sdk.testing.images.definition import load_definitions
from kopf_sdk.testing.packages import docker_answers

__all__ = ["TOOLS", "Settings", "build", "choose_tool", "push", "qualified"]

TOOLS = ("docker", "podman", "buildah")

# Handed on by name, so that no password in them shows in the list of processes.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

_SYSTEM_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Settings:
    """What to build."""

    tag: str
    file: Path
    context: Path
    arguments: Mapping[str, str]
    local_base: bool = False
    """Use base images made from packages instead of those that a registry has."""


def choose_tool(wanted: str | None = None) -> str:
    """The container tool to use: the wanted one, else the first that works.

    Raises
    ------
    SdkError
        It is not installed, or nothing is; for docker also when its daemon does not answer.
    """
    for tool in [wanted] if wanted else TOOLS:
        if docker_answers() if tool == "docker" else shutil.which(tool):
            return tool
    if wanted == "docker" and shutil.which("docker"):
        raise SdkError(
            "docker is installed, but its daemon does not answer", hint="start it, or use CONTAINER_TOOL=buildah"
        )
    raise SdkError(
        f"{wanted} is not installed"
        if wanted
        else "neither docker (with a running daemon) nor podman nor buildah is here",
        hint="apt-get install buildah",
    )


def qualified(tag: str) -> str:
    """The full name of an image, as container runtimes complete it: my/app:v1 is docker.io/my/app:v1."""
    first, slash, _ = tag.partition("/")
    named = tag if slash and ("." in first or ":" in first or first == "localhost") else f"docker.io/{_library(tag)}"
    return named if ":" in named.rsplit("/", 1)[1] or "@" in named else f"{named}:latest"


def _library(tag: str) -> str:
    return tag if "/" in tag else f"library/{tag}"


def build(tool: str, settings: Settings, *, output: Path | None = None, quiet: bool = False) -> str:
    """Build the image and, with `output`, save it as a docker-archive that `kopf-sdk cluster load-image` takes.

    Returns
    -------
    str
        The image's full name, as pods refer to it.

    Raises
    ------
    SdkError
        The tool failed; with the end of what it printed when that was not shown (`quiet`).
    """
    tag = qualified(settings.tag)
    arguments, local = _with_bases(tool, settings.arguments, local=settings.local_base)
    index = _package_index()
    bundle = _certificates()
    command = [tool, "build", "--network=host", f"--file={settings.file}", f"--tag={tag}"]
    if tool != "docker":
        # The same sources make the same image; a step that did not change is not run again.
        command += ["--timestamp=0", "--layers"]
    if local:
        command += {"docker": [], "podman": ["--pull=never"], "buildah": ["--pull-never"]}[tool]
    if tool == "buildah" and "BUILDAH_ISOLATION" not in os.environ:
        # Needs no container runtime, so it works in containers and sandboxes too.
        command.append("--isolation=chroot")
    if bundle:
        command.append(f"--secret=id=pip-ca,src={bundle}")
    named = [name for name in _PROXIES if os.environ.get(name)]
    if index and "PIP_INDEX_URL" not in arguments:
        named.append("PIP_INDEX_URL")
    command += [f"--build-arg={name}" for name in named]
    command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    environment = {"DOCKER_BUILDKIT": "1"} | ({"PIP_INDEX_URL": index} if index else {})
    _run([*command, str(settings.context)], f"building {tag}", quiet=quiet, environment=environment)
    if output:
        _save(tool, tag, output)
    return tag


def push(tool: str, tag: str, *, plain_http: bool = False, quiet: bool = False) -> str:
    """Push the image to the registry that its name begins with.

    Parameters
    ----------
    plain_http
        Talk to a registry without TLS. Docker has no such flag: it does that on loopback, elsewhere where its daemon's
        `insecure-registries` says so.

    Returns
    -------
    str
        The image's full name.

    Raises
    ------
    SdkError
        The tool failed; with the end of what it printed when that was not shown (`quiet`).
    """
    full = qualified(tag)
    insecure = ["--tls-verify=false"] if plain_http and tool != "docker" else []
    _run([tool, "push", *insecure, full], f"pushing {full}", quiet=quiet)
    return full


def _with_bases(tool: str, given: Mapping[str, str], *, local: bool) -> tuple[dict[str, str], bool]:
    """Build arguments with our own bases put in and imported; the second value is whether nothing has to be pulled."""
    arguments = dict(given)
    ours = {definition.reference: name for name, definition in load_definitions().items()}
    by_name = {name: reference for reference, name in ours.items()}
    if local:
        arguments.setdefault("BASE_IMAGE", by_name["python"])
    if arguments.get("BASE_IMAGE") == by_name["python"]:
        arguments.setdefault("BUILD_IMAGE", by_name["python-build"])
    bases = [arguments.get("BASE_IMAGE", ""), arguments.get("BUILD_IMAGE", "")]
    for base in bases:
        if base in ours:
            _load(tool, base_image(ours[base]))
    return arguments, all(base in ours for base in bases)


def _load(tool: str, archive: Path) -> None:
    command = (
        ["buildah", "pull", f"docker-archive:{archive}"] if tool == "buildah" else [tool, "load", f"--input={archive}"]
    )
    _run(command, f"importing {archive.name}", quiet=True)


def _save(tool: str, tag: str, output: Path) -> None:
    """Write the archive in one step."""
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    commands = {
        "docker": ["docker", "save", f"--output={fresh}", tag],
        "podman": ["podman", "save", "--format=docker-archive", f"--output={fresh}", tag],
        "buildah": ["buildah", "push", "--disable-compression", tag, f"docker-archive:{fresh}:{tag}"],
    }
    try:
        _run(commands[tool], f"saving {tag}", quiet=True)
        fresh.replace(output)
    finally:
        fresh.unlink(missing_ok=True)


def _certificates() -> Path | None:
    """File of the certificate authorities that this machine's pip trusts, else of the system's; None without one."""
    configured = (_pip_setting("cert"), os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile)
    return next((Path(path) for path in (*configured, _SYSTEM_CERTIFICATES) if path and Path(path).is_file()), None)


def _package_index() -> str | None:
    """The package index of this machine's pip, None for the public one."""
    return _pip_setting("index-url")


def _pip_setting(name: str) -> str | None:
    if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
        return value
    if importlib.util.find_spec("pip") is None:
        return None
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    found = re.findall(rf"^(?:install|global)\.{name}='(.*)'$", listed, re.MULTILINE)
    return found[0] if found else None


def _run(command: Sequence[str], what: str, *, quiet: bool, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else sys.stderr,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = "\n".join((done.stdout or "").splitlines()[-20:])
        raise SdkError(
            f"{what} failed: {command[0]} exited with {done.returncode}{':' if last else ''}\n{last}".rstrip(),
            hint="is no registry reachable? Base images made from packages: --local-base, with make "
            f"BUILD_ARGS=BASE_IMAGE={load_definitions()['python'].reference}"
            if "build" in command[1:2] and ("pull" in last or not quiet)
            else None,
        )
