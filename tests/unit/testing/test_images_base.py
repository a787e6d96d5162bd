"""Images made on this machine: once, reproducibly, with everything their programs need."""

import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images import archive, base_image, reference


def console() -> Console:
    return Console(record=True, width=200, file=Path(os.devnull).open("w"))


def test_pause_is_made_once() -> None:
    first = base_image("pause", console=console())
    again = console()
    assert base_image("pause", console=again) == first
    assert again.export_text() == ""
    assert reference("pause") == "registry.k8s.io/pause:3.10"
    assert [member.mode for layer in archive.layers(first) for member in layer if member.name == "pause"] == [0o755]


def test_refreshed_image_has_the_same_bytes() -> None:
    before = base_image("pause", console=console()).read_bytes()
    said = console()
    assert base_image("pause", refresh=True, console=said).read_bytes() == before
    assert "made image registry.k8s.io/pause:3.10" in said.export_text()


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(SdkError, match="'memcache'") as error:
        base_image("memcache")
    assert "memcached" in (error.value.hint or "")


@pytest.mark.full
def test_images_from_packages_are_reproducible_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs run with the images' own libraries, Python finds its byte code, and a second make gives the same."""
    ours = {name: base_image(name, console=console()).read_bytes() for name in ("memcached", "python")}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, command, answer in [
        ("memcached", ["usr/bin/memcached", "-V"], "memcached 1.6."),
        ("python", ["usr/bin/python3.11", "-c", "import ssl, sqlite3, ctypes; print(ssl.__cached__)"], ".pyc"),
    ]:
        path = base_image(name, console=console())
        assert path.read_bytes() == ours[name]
        for layer in archive.layers(path):
            assert not [member.name for member in layer if member.mode & 0o6000]
            layer.extractall(tmp_path / name, filter="fully_trusted")
        root = tmp_path / name
        [linker] = root.glob("usr/lib/*/ld-linux*.so.*")
        run = [str(linker), "--inhibit-cache", "--library-path", str(linker.parent), *command]
        environment = {"PYTHONHOME": f"{root}/usr"}
        done = subprocess.run(run, cwd=root, env=environment, capture_output=True, text=True, check=True)
        assert answer in done.stdout
