"""What an auto-discovery endpoint answers. Pure.

Source: Amazon's "Adding auto discovery to your client library", and what clients make of it: pymemcache's
`AWSElastiCacheHashClient` connects to the middle field of `host|ip|port` and never looks at the first one,
django-elasticache prefers the middle one, others the first. So both hold the pod's stable name: an address would change
with every new pod, and the keys that a client hashes over it with it.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["VERSION", "answer", "configuration"]

VERSION = "1.4.14"
"""Clients ask: since this version of ElastiCache's memcached the command is `config get cluster`."""
_LEGACY_KEY = "AmazonElastiCache:cluster"


def configuration(version: str, servers: Sequence[str]) -> str:
    """Return the cluster's configuration: its version, which grows with every change, and its servers (`host:port`)."""
    nodes = (server.rpartition(":") for server in servers)
    return f"{version}\n{' '.join(f'{host}|{host}|{port}' for host, _, port in nodes)}\n"


def answer(command: str, configuration: str) -> str | None:
    """Return what a client that sent this line gets; None when it gets nothing but the end of the connection."""
    match command.split():
        case ["config", "get", "cluster"]:
            return f"CONFIG cluster 0 {len(configuration)}\r\n{configuration}\r\nEND\r\n"
        case ["get" | "gets" as verb, *keys]:
            unique = " 0" if verb == "gets" else ""
            value = f"VALUE {_LEGACY_KEY} 0 {len(configuration)}{unique}\r\n{configuration}\r\n"
            return (value if _LEGACY_KEY in keys else "") + "END\r\n"
        case ["version"]:
            return f"VERSION {VERSION}\r\n"
        case ["quit"]:
            return None
        case _:
            return "ERROR\r\n"
