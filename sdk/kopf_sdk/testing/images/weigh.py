"""What weighs what in an image: bytes per folder, uncompressed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kopf_sdk.testing.images import archive

__all__ = ["weigh"]


def weigh(path: Path, *, depth: int = 3) -> tuple[int, list[tuple[str, int]]]:
    """Sum the files of an image archive.

    Parameters
    ----------
    path
        A docker-archive, as `docker save` writes it.
    depth
        Folders deeper than this are counted with the one above.

    Returns
    -------
    tuple
        Bytes of all layers together, and (folder or file, bytes) with the heaviest first. What a later layer removes or
        replaces still counts: it is still pulled and stored.
    """
    sizes = [(member.name, member.size) for layer in archive.layers(path) for member in layer if member.isreg()]
    return sum(size for _, size in sizes), _by_folder(sizes, depth)


def _by_folder(sizes: Iterable[tuple[str, int]], depth: int) -> list[tuple[str, int]]:
    weights: Counter[str] = Counter()
    for name, size in sizes:
        weights["/".join(name.removeprefix("./").split("/")[:depth])] += size
    return sorted(weights.items(), key=lambda item: (-item[1], item[0]))
