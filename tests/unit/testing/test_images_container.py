"""Which container tool is used, and what it is told."""

import json
import os
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images import container

RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
with open(os.environ["RECORD"], "a") as record:
    print(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]), file=record)
if sys.argv[1:2] == ["version"] and os.environ.get("DAEMON") == "down":
    sys.exit("cannot connect")
if sys.argv[1:2] == ["build"] and os.environ.get("BUILD") == "fails":
    sys.exit("step 3 failed: no such package")
for argument in sys.argv:
    for prefix in ("--output=", "docker-archive:"):
        if argument.startswith(prefix) and sys.argv[1] in ("save", "push"):
            pathlib.Path(argument.removeprefix(prefix).split(":")[0]).write_text("archive")
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with docker, podman and buildah that write down how they are called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in container.TOOLS:
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    for name in ("DAEMON", "BUILD", "BUILDAH_ISOLATION", "PIP_INDEX_URL", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def settings(**arguments: str) -> container.Settings:
    return container.Settings("my/operator:v1", Path("operator/Containerfile"), Path(), arguments)


def calls() -> list[list[str]]:
    return [json.loads(line) for line in Path(os.environ["RECORD"]).read_text().splitlines()]


def test_first_that_works(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert container.choose_tool() == "docker"
    monkeypatch.setenv("DAEMON", "down")
    assert container.choose_tool() == "podman"
    assert container.choose_tool("buildah") == "buildah"
    with pytest.raises(SdkError, match="its daemon does not answer"):
        container.choose_tool("docker")


def test_nothing_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SdkError, match="neither docker") as error:
        container.choose_tool()
    assert error.value.hint == "apt-get install buildah"
    with pytest.raises(SdkError, match="podman is not installed"):
        container.choose_tool("podman")


@pytest.mark.parametrize(
    ("tag", "full"),
    [
        ("my/memcached-operator:v0.0.1", "docker.io/my/memcached-operator:v0.0.1"),
        ("nginx", "docker.io/library/nginx:latest"),
        ("localhost/demo:dev", "localhost/demo:dev"),
        ("registry.example.com/a/b", "registry.example.com/a/b:latest"),
        ("registry:5000/a:1", "registry:5000/a:1"),
    ],
)
def test_names_are_completed_as_runtimes_do(tag: str, full: str) -> None:
    assert container.qualified(tag) == full


@pytest.mark.parametrize("tool", container.TOOLS)
def test_every_tool_builds_and_saves(tools: Path, tmp_path: Path, tool: str) -> None:
    output = tmp_path / "out" / "image.tar"
    assert container.build(tool, settings(A="1"), output=output) == "docker.io/my/operator:v1"
    assert output.read_text() == "archive"
    assert [path.name for path in output.parent.iterdir()] == ["image.tar"]
    build, save = calls()
    assert build[:2] == [tool, "build"]
    assert "--network=host" in build
    assert "--tag=docker.io/my/operator:v1" in build
    assert "--build-arg=A=1" in build
    assert build[-1] == "."
    assert ("--isolation=chroot" in build) is (tool == "buildah")
    assert ("--timestamp=0" in build) is (tool != "docker")
    assert not [argument for argument in build if "pull" in argument], "a registry's base image is pulled when missing"
    assert save[0] == tool


def test_secrets_of_the_environment_are_handed_on_by_name(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:secret@index.example.com/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example.com")
    container.build("podman", settings())
    [build] = calls()
    assert {"--build-arg=PIP_INDEX_URL", "--build-arg=HTTPS_PROXY"} <= set(build)
    assert "secret@" not in " ".join(build)


def test_given_index_wins(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://machine.example.com/simple")
    container.build("podman", settings(PIP_INDEX_URL="https://given.example.com/simple"))
    [build] = calls()
    assert [argument for argument in build if "PIP_INDEX_URL" in argument] == [
        "--build-arg=PIP_INDEX_URL=https://given.example.com/simple"
    ]


def test_failure_shows_what_the_tool_said(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD", "fails")
    with pytest.raises(
        SdkError, match=r"building docker\.io/my/operator:v1 failed(.|\n)*step 3 failed: no such package"
    ):
        container.build("buildah", settings(), quiet=True)


@pytest.mark.parametrize("tool", container.TOOLS)
def test_every_tool_pushes(tools: Path, tool: str) -> None:
    assert container.push(tool, "my/operator:v1") == "docker.io/my/operator:v1"
    container.push(tool, "127.0.0.1:5000/operator:v1", plain_http=True)
    first, second = calls()
    assert first == [tool, "push", "docker.io/my/operator:v1"]
    assert ("--tls-verify=false" in second) is (tool != "docker")
