"""Layers and archives: the same input gives the same bytes, and any tool can read them."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images import archive
from kopf_sdk.testing.images.debian import Package
from kopf_sdk.testing.images.definition import Definition
from kopf_sdk.testing.images.layer import EPOCH, Layer, check_libraries, unpacked
from kopf_sdk.testing.images.weigh import weigh

DEFINITION = Definition(
    reference="localhost/demo:1", user="1000:1000", entrypoint=("demo",), ports=(11211,), env={"MODE": "test"}
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """A package with what packages have: old-style paths, links, a setuid program, documentation."""
    root = tmp_path_factory.mktemp("package")
    for folder in ("DEBIAN", "bin", "usr/share/doc/demo", "lib/demo"):
        (root / folder).mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: demo\nVersion: 1:2.3-4\nArchitecture: all\nMaintainer: Demo <demo@example.com>\nDescription: demo\n"
    )
    (root / "bin/demo").write_text("#!/bin/sh\necho demo\n")
    (root / "bin/demo").chmod(0o4755)
    os.link(root / "bin/demo", root / "bin/demo-again")
    (root / "lib/demo/link").symlink_to("../../bin/demo")
    (root / "usr/share/doc/demo/README").write_text("read me")
    file = root.parent / "demo.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, file], check=True, capture_output=True)
    return Package("demo", "1:2.3-4", file)


def write(package: Package, path: Path) -> Path:
    layer = Layer()
    layer.package(package, exclude=["usr/share/*"])
    layer.users({"demo": 1000})
    layer.link("bin/again", "demo")
    layer.file("opt/deep/down/file", b"content")
    layer.write(path)
    return path


def test_same_input_same_bytes(package: Package, tmp_path: Path) -> None:
    assert write(package, tmp_path / "a").read_bytes() == write(package, tmp_path / "b").read_bytes()


def test_entries_are_merged_sorted_and_owned_by_root(package: Package, tmp_path: Path) -> None:
    with tarfile.open(write(package, tmp_path / "layer")) as layer:
        members = {member.name: member for member in layer}
        passwd = layer.extractfile("etc/passwd")
        assert passwd is not None
        assert b"demo:x:1000:1000:" in passwd.read()
    assert list(members) == sorted(members)
    assert members["bin"].linkname == "usr/bin"
    assert members["usr/bin/demo"].mode == 0o755, "nothing may be setuid"
    assert members["usr/bin/demo-again"].isreg(), "hard links become files"
    assert members["usr/lib/demo/link"].linkname == "../../bin/demo"
    assert members["usr/bin/again"].linkname == "demo"
    assert members["opt/deep/down"].isdir()
    assert members["tmp"].mode == 0o1777
    assert not [name for name in members if name.startswith("usr/share/")]
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, EPOCH)}


def test_archive_is_an_oci_layout_and_a_docker_archive(package: Package, tmp_path: Path) -> None:
    layer = write(package, tmp_path / "layer")
    path = tmp_path / "image.tar"
    archive.write(path, "localhost/demo:1", DEFINITION, layer)
    with tarfile.open(path) as image:
        blobs = {member.name: image.extractfile(member).read() for member in image}  # type: ignore[union-attr]
    for name, content in blobs.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"

    def blob(descriptor: dict[str, object]) -> bytes:
        content = blobs["blobs/sha256/" + str(descriptor["digest"]).removeprefix("sha256:")]
        assert descriptor["size"] == len(content)
        return content

    [entry] = json.loads(blobs["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "localhost/demo:1"
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    assert blob(manifest["layers"][0]) == layer.read_bytes()
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert config["config"]["Entrypoint"] == ["demo"]
    assert config["config"]["User"] == "1000:1000"
    assert config["config"]["ExposedPorts"] == {"11211/tcp": {}}
    assert "MODE=test" in config["config"]["Env"]
    [docker] = json.loads(blobs["manifest.json"])
    assert json.loads(blobs[docker["Config"]]) == config
    assert archive.references(path) == ["localhost/demo:1"]


def test_weigh_sums_by_folder_with_the_heaviest_first(tmp_path: Path) -> None:
    layer = Layer()
    layer.file("opt/lib/big/a", b"x" * 700)
    layer.file("opt/lib/big/deep/b", b"x" * 300)
    layer.file("opt/lib/small/c", b"x" * 10)
    layer.write(tmp_path / "layer")
    archive.write(tmp_path / "image.tar", "localhost/demo:1", DEFINITION, tmp_path / "layer")
    assert weigh(tmp_path / "image.tar") == (1010, [("opt/lib/big", 1000), ("opt/lib/small", 10)])
    assert weigh(tmp_path / "image.tar", depth=1) == (1010, [("opt", 1010)])


@pytest.mark.parametrize("content", [b"", b"no tar at all"])
def test_what_is_not_an_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    with pytest.raises(SdkError, match=r"image\.tar is not an image archive"):
        archive.references(path)
    with pytest.raises(SdkError, match=r"none\.tar does not exist"):
        archive.references(tmp_path / "none.tar")
    with tarfile.open(path, "w") as other:
        other.addfile(tarfile.TarInfo("etc/passwd"), io.BytesIO())
    with pytest.raises(SdkError, match="is not an image archive"):
        archive.references(path)


def test_missing_libraries_end_the_build(tmp_path: Path) -> None:
    """A dynamic linker of this machine's, a program of its, and none of the libraries."""
    linker = next(Path("/usr/lib").glob("*/ld-linux*.so.*"), None) or next(Path("/lib").glob("*/ld-linux*.so.*"))
    layer = Layer()
    layer.file(f"usr/lib/{linker.parent.name}/{linker.name}", linker.read_bytes(), mode=0o755)
    layer.file("usr/bin/tar", Path("/usr/bin/tar").resolve().read_bytes(), mode=0o755)
    layer.write(tmp_path / "layer")
    with (
        unpacked(tmp_path / "layer") as root,
        pytest.raises(SdkError, match=r"usr/bin/memcached: the image has no such file"),
    ):
        check_libraries(root, ["usr/bin/memcached"])
    with unpacked(tmp_path / "layer") as root, pytest.raises(SdkError, match=r"libraries are missing: .*libc\.so\.6"):
        check_libraries(root, ["usr/bin/tar"])
