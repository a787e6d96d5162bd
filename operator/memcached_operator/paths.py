"""Where things are inside a memcached pod."""

from __future__ import annotations

__all__ = [
    "ARGUMENTS_FILE",
    "AUTH_FILE",
    "AUTH_PATH",
    "CACHE_PATH",
    "CONFIG_PATH",
    "EXTSTORE_FILE",
    "EXTSTORE_PATH",
    "ITEM_MEMORY_FILE",
    "LOGIN_PATH",
    "MEMORY_FILE",
    "POD_PATH",
    "SERVERS_PATH",
    "STATE_PATH",
    "TLS_PATH",
]

CONFIG_PATH = "/etc/memcached"
"""Arguments and scripts, from a ConfigMap."""
TLS_PATH = "/etc/memcached-tls"
"""Certificate, key and CA, from the user's Secret."""
AUTH_PATH = "/etc/memcached-auth"
"""memcached's auth file, from a Secret that the operator makes."""
AUTH_FILE = f"{AUTH_PATH}/users"
LOGIN_PATH = "/etc/memcached-login"
"""User and password of the operator itself, which probes use too."""
STATE_PATH = "/run/memcached"
"""What the probe remembers about the running process; in memory, gone with the pod."""
SERVERS_PATH = "/etc/memcached-servers"
"""The list of servers, in the pods of the discovery endpoint."""
POD_PATH = "/etc/memcached-pod"
"""What the pod's own annotations say of how memcached starts in it."""
ARGUMENTS_FILE = "arguments"
"""Digest of the arguments, which names the file that has them."""
ITEM_MEMORY_FILE = "item-memory"
"""Memory for items in MiB; wins over the arguments."""
CACHE_PATH = "/cache"
"""The items, in memory, with warm restarts: kept when memcached restarts, gone with the pod."""
MEMORY_FILE = f"{CACHE_PATH}/items"
EXTSTORE_PATH = "/extstore"
"""Items on disk; without meaning when memcached has ended."""
EXTSTORE_FILE = f"{EXTSTORE_PATH}/items"
