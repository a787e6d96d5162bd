"""Where a cluster keeps its files, and what is written down about it.

The state directory alone decides everything that `down` must find: the name of the cgroup subtree and the command
line of the keeper are functions of it. So nothing has to be recorded after the fact, and a killed `up` loses nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from kopf_sdk.errors import SdkError

__all__ = ["KeeperRecord", "Layout", "Phase", "Record", "Size", "layout", "names", "state_root", "write_atomic"]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


class Size(StrEnum):
    """How much of a cluster is started."""

    CONTROL_PLANE = "control-plane"
    NODE = "node"


class Phase(StrEnum):
    """How far the last `up` came."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass
class Record:
    """What `up` was asked for and how it went (cluster.json)."""

    name: str
    size: Size
    phase: Phase
    reason: str = ""
    created: str = ""


@dataclass
class KeeperRecord:
    """The process that holds the cluster (keeper.json); start times tell a process from a later one with its PID."""

    pid: int
    started: int
    init_pid: int = 0
    init_started: int = 0
    api_port: int = 0


@dataclass(frozen=True)
class Layout:
    """Every path of one cluster on the host."""

    name: str
    root: Path

    @property
    def directory(self) -> Path:
        return self.root / self.name

    @property
    def lock_file(self) -> Path:
        # Outside of the directory: `down` removes the directory while it holds the lock.
        return self.root / f".{self.name}.lock"

    @property
    def record_file(self) -> Path:
        return self.directory / "cluster.json"

    @property
    def keeper_file(self) -> Path:
        return self.directory / "keeper.json"

    @property
    def control_socket(self) -> Path:
        return self.directory / "control.sock"

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def config(self) -> Path:
        return self.directory / "config"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def context(self) -> str:
        return f"kopf-sdk-{self.name}"

    @property
    def cgroup(self) -> str:
        """Name of the subtree in every hierarchy; the digest keeps clusters of different users apart."""
        return f"kopf-sdk-{self.name}-{self._digest[:8]}"

    @property
    def preferred_port(self) -> int:
        """Where the API server is found on loopback if nobody else is there: below the ports that clients get."""
        return 20000 + int(self._digest, 16) % 10000

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.directory).encode()).hexdigest()

    def record(self) -> Record | None:
        """What the last `up` wrote; None when there is nothing or when it is not readable."""
        try:
            content = json.loads(self.record_file.read_bytes())
            return Record(
                content["name"], Size(content["size"]), Phase(content["phase"]), content["reason"], content["created"]
            )
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return None

    def save(self, record: Record | KeeperRecord) -> None:
        """Write a record into its file, as a whole."""
        file = self.record_file if isinstance(record, Record) else self.keeper_file
        write_atomic(file, json.dumps(asdict(record), indent=2) + "\n")

    def keeper(self) -> KeeperRecord | None:
        """What the keeper wrote last; None when it never started."""
        try:
            return KeeperRecord(**json.loads(self.keeper_file.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def create(self) -> None:
        """Make the directories; only the user may look inside (there are keys)."""
        for path in (self.directory, self.pki, self.config, self.logs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Delete the directory; what cannot be deleted is an error that names it."""
        if self.directory.exists():
            try:
                shutil.rmtree(self.directory)
            except FileNotFoundError:  # something inside vanished meanwhile
                shutil.rmtree(self.directory, ignore_errors=True)
            except OSError as error:
                raise SdkError(
                    f"cannot remove {error.filename or self.directory}: {error.strerror}",
                    hint="if something is mounted there, unmount it and run 'kopf-sdk cluster down' again",
                ) from error

    @contextmanager
    def lock(self, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the cluster for oneself; `waiting` is called once when somebody else has it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self._acquire(waiting)
        try:
            yield
        finally:
            if not self.directory.exists():
                self.lock_file.unlink(missing_ok=True)
            os.close(descriptor)

    def is_locked(self) -> bool:
        """Whether a command works on the cluster right now."""
        try:
            with self.lock_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _acquire(self, waiting: Callable[[], None] | None) -> int:
        while True:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting()
                    waiting = None
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                # The one before may have removed the file: then this lock protects nothing.
                if self.lock_file.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)


def state_root() -> Path:
    """The directory of all clusters of this user: KOPF_SDK_STATE, else below XDG_STATE_HOME."""
    if explicit := os.environ.get("KOPF_SDK_STATE"):
        return Path(explicit).resolve()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return (Path(base) / "kopf-sdk/clusters").resolve()


def layout(name: str) -> Layout:
    """The paths of the cluster with this name.

    Raises
    ------
    SdkError
        The name is not a lower-case DNS label of at most 40 characters.
    """
    if not _NAME.fullmatch(name):
        raise SdkError(
            f"'{name}' cannot be the name of a cluster",
            hint="lower-case letters, digits and '-', at most 40 characters, for example 'dev'",
        )
    return Layout(name, state_root())


def names() -> list[str]:
    """Every cluster that has a state directory, complete or not."""
    root = state_root()
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def write_atomic(path: Path, content: str, *, mode: int = 0o600) -> None:
    """Replace a file as a whole: a reader sees the old content or the new."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content)
    temporary.chmod(mode)
    temporary.replace(path)
