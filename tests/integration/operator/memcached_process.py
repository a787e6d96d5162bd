"""Real memcached processes on loopback, run out of the image that pods run."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kopf_sdk.testing.cache import cache_directory
from kopf_sdk.testing.images import base_image
from kopf_sdk.testing.images.archive import layers
from ports import free_port

__all__ = ["Memcached", "running", "unpacked"]


class Memcached:
    """A process that listens on loopback."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def stop(self) -> None:
        """Stop as a pod with warm restarts does (SIGUSR1 ends memcached in order)."""
        self.process.send_signal(10)
        self.process.wait(120)


def unpacked(image: str = "memcached") -> Path:
    """Return the root of an image's file system, unpacked once."""
    archive = base_image(image)
    root = cache_directory() / "unpacked" / archive.parent.name
    if not root.exists():
        fresh = root.with_name(f"{root.name}.new")
        for layer in layers(archive):
            layer.extractall(fresh, filter="tar")
        fresh.rename(root)
    return root


@contextmanager
def running(*arguments: str, port: int = 0, image: str = "memcached") -> Iterator[Memcached]:
    """Run memcached until the end of the block."""
    root = unpacked(image)
    loader = next((root / "usr/lib").rglob("ld-linux*.so.*"))
    port = port or free_port()
    libraries = ":".join(str(path) for path in (root / "usr/lib").glob("*-linux-gnu"))
    command = [str(loader), "--library-path", libraries, str(root / "usr/bin/memcached")]
    command += ["--listen=127.0.0.1", f"--port={port}", "--user=root", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, "memcached does not start"
                assert process.poll() is None, "memcached ended"
                time.sleep(0.01)
        yield Memcached(process, port)
    finally:
        process.kill()
        process.wait()
