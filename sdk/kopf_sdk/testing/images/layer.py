"""The single layer of an image: files of packages and programs, sorted, owned by root, without times.

Paths follow the merged /usr of today's distributions: `bin`, `sbin`, `lib` and `lib64` are links into `usr`, whatever a
package says.
"""

from __future__ import annotations

import fnmatch
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.images.debian import Package

__all__ = ["EPOCH", "Layer", "check_libraries", "compile_python", "unpacked"]

EPOCH = 1767225600
"""The time of every file, 2026-01-01: the same input makes the same image."""

_MERGED = ("bin", "sbin", "lib", "lib64")


class Layer:
    """Collects entries by path; the last one of a path wins."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        for name in _MERGED:
            self.directory(f"usr/{name}")
            self._link(name, f"usr/{name}")
        for name in ("dev", "etc", "proc", "run", "sys"):
            self.directory(name)
        self.directory("tmp", mode=0o1777)

    def directory(self, path: str, *, mode: int = 0o755) -> None:
        info = tarfile.TarInfo(path)
        info.type = tarfile.DIRTYPE
        info.mode = mode
        self._entries[path] = (info, b"")

    def file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        info = tarfile.TarInfo(_merge(path))
        info.mode = mode
        info.size = len(content)
        self._add(info, content)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._link(_merge(path), target)

    def package(self, package: Package, exclude: Sequence[str]) -> None:
        """Everything that a package would unpack, but what matches `exclude`; scripts of the package are not run."""
        command = ["dpkg-deb", "--fsys-tarfile", str(package.file)]
        unpacked = subprocess.run(command, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
            for member in archive:
                path = _merge(member.name.removeprefix("./"))
                if path in {"", "."} or member.isdir() or any(fnmatch.fnmatchcase(path, glob) for glob in exclude):
                    continue
                if member.issym():
                    self._link(path, member.linkname)
                    continue
                # Hard links become files of their own: what they point to may be excluded.
                source = archive.extractfile(member)
                assert source is not None
                # Without the setuid bit: nothing in these images may change its user.
                self.file(path, source.read(), mode=member.mode & 0o755)

    def users(self, users: Mapping[str, int]) -> None:
        """/etc/passwd and /etc/group with root and these."""
        known = {"root": 0} | dict(users)
        passwd = (f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in known.items())
        group = (f"{name}:x:{number}:\n" for name, number in known.items())
        self.file("etc/passwd", "".join(passwd).encode())
        self.file("etc/group", "".join(group).encode())

    def write(self, path: Path) -> None:
        """The layer as an uncompressed tar, byte for byte the same for the same entries."""
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
            for name in sorted({*self._entries, *self._parents()}):
                info, content = self._entries.get(name, (None, b""))
                if info is None:
                    info = tarfile.TarInfo(name)
                    info.type = tarfile.DIRTYPE
                    info.mode = 0o755
                info.mtime = EPOCH
                archive.addfile(info, io.BytesIO(content) if info.isreg() else None)

    def _link(self, path: str, target: str) -> None:
        info = tarfile.TarInfo(path)
        info.type = tarfile.SYMTYPE
        info.mode = 0o777
        info.linkname = target
        self._add(info, b"")

    def _add(self, info: tarfile.TarInfo, content: bytes) -> None:
        self._entries[info.name] = (info, content)

    def _parents(self) -> Iterable[str]:
        for name in self._entries:
            yield from (str(parent) for parent in PurePosixPath(name).parents if str(parent) != ".")


def _merge(path: str) -> str:
    return f"usr/{path}" if path.split("/", 1)[0] in _MERGED else path


@contextmanager
def unpacked(layer: Path) -> Iterator[Path]:
    """The files of a layer in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-root-") as folder:
        subprocess.run(["tar", "-xf", str(layer), "-C", folder], check=True)
        yield Path(folder)


def compile_python(root: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """Byte code for the modules in a folder of an unpacked image, made by the image's own interpreter.

    On a read-only file system Python compiles what it imports at every start. The byte code is not compared with its
    source (PEP 552, unchecked), which has another time in every copy of the image.

    Yields
    ------
    tuple
        Path in the image and content of each .pyc file.
    """
    python = next(iter(sorted(root.glob("usr/bin/python3.[0-9]*"))))
    options = ["-q", "--invalidation-mode=unchecked-hash", "-s", str(root), "-p", "/", str(root / folder)]
    # Without the second, the interpreter writes what it imports itself, with the temporary path in it.
    environment = {"PYTHONHOME": str(root / "usr"), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    subprocess.run([*_linked(root), str(python), "-m", "compileall", *options], env=environment, check=True)
    for file in sorted((root / folder).rglob("*.pyc")):
        yield str(file.relative_to(root)), file.read_bytes()


def _linked(root: Path) -> list[str]:
    """The beginning of a command that runs a program of the unpacked image with the image's libraries."""
    linker = next(root.glob("usr/lib/*/ld-linux*.so.*"), None)
    if linker is None:
        raise SdkError("the image has programs and no dynamic linker", hint="add libc6 to its packages")
    return [str(linker), "--inhibit-cache", "--library-path", str(linker.parent)]


def check_libraries(root: Path, globs: Sequence[str]) -> None:
    """See that an unpacked image has every shared library of these programs, with its own dynamic linker.

    Raises
    ------
    SdkError
        A glob matches nothing, or a library is missing; all missing ones are listed.
    """
    command = [*_linked(root), "--list"]
    missing: set[str] = set()
    for glob in globs:
        programs = sorted(root.glob(glob))
        if not programs:
            raise SdkError(f"check: {glob}: the image has no such file")
        for program in programs:
            listed = subprocess.run([*command, str(program)], capture_output=True, text=True, check=False)
            lines = (listed.stdout + listed.stderr).splitlines()
            unresolved = [line.split("=>")[0].split(":")[-1].strip() for line in lines if "not found" in line]
            foreign = [line.strip() for line in lines if "=> /" in line and f"=> {root}/" not in line]
            missing.update(f"{name} ({program.name})" for name in (*unresolved, *foreign))
            if listed.returncode and not unresolved:
                missing.add(f"{program.name}: {listed.stderr.strip()}")
    if missing:
        raise SdkError(f"libraries are missing: {', '.join(sorted(missing))}", hint="add their packages to images.toml")
