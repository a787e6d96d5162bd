"""Two ConfigMaps: the files that the pods mount, and the list that clients read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memcached_operator import naming, scripts
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.arguments import argument_lines, digest
from memcached_operator.children.manifest import Manifest, manifest

__all__ = ["arguments", "servers"]


def arguments(
    memcached: Memcached,
    live: Manifest | None = None,
    in_use: Iterable[str] = (),
    handovers: Mapping[str, str] | None = None,
) -> Manifest:
    """Return the files under `/etc/memcached` in every pod: the scripts, and arguments by their digest.

    Parameters
    ----------
    live
        The ConfigMap as it is.
    in_use
        Digests of arguments that pods have, or that the template keeps: they stay, so that a pod whose turn has not
        come starts again with what it had.
    handovers
        What new pods say to spare ones before memcached starts, by pod.
    """
    known = (live or {}).get("data") or {}
    names = {f"{scripts.ARGUMENTS_FILE}{name}" for name in in_use}
    kept = {name: known[name] for name in sorted(names) if name in known}
    kept |= {f"{scripts.HANDOVER_FILE}{pod}": f"{words}\n" for pod, words in (handovers or {}).items()}
    return manifest(
        memcached,
        "v1",
        "ConfigMap",
        naming.arguments_config_map(memcached),
        data=kept | {f"{scripts.ARGUMENTS_FILE}{digest(memcached)}": argument_lines(memcached)} | scripts.scripts(),
    )


def servers(memcached: Memcached, live: Manifest | None) -> Manifest:
    """Return the stable list of servers, in the two forms that clients' configurations ask for, and its version.

    The version is the generation of the resource that made the list what it is: it grows with every change of the list,
    and with nothing else, also when the ConfigMap was deleted in between.
    """
    hosts = naming.servers(memcached)
    lines = _lines(hosts)
    known = (live or {}).get("data") or {}
    version = (known.get("servers") == lines and known.get("version")) or str(memcached.metadata.generation)
    return manifest(
        memcached,
        "v1",
        "ConfigMap",
        naming.servers_config_map(memcached),
        data={
            "servers": lines,
            "servers.csv": ",".join(hosts),
            "version": version or str(memcached.metadata.generation),
        },
    )


def _lines(words: list[str]) -> str:
    return "".join(f"{word}\n" for word in words)
