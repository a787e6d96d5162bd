"""Addresses and paths inside a cluster: the same in every one, each has a network and mounts of its own."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "API_PORT",
    "DNS_IP",
    "NODE_IP",
    "NODE_NAME",
    "POD_CIDR",
    "SERVICE_CIDR",
    "SERVICE_IP",
    "STATE",
    "VOLUME_PLUGINS",
]

NODE_NAME = "node1"
NODE_IP = "10.250.0.2"
API_PORT = 6443
SERVICE_CIDR = "10.96.0.0/16"
SERVICE_IP = "10.96.0.1"
DNS_IP = NODE_IP
POD_CIDR = "10.244.0.0/16"
# Where the state directory appears inside: short, because the path of a unix socket ends at 107 characters.
STATE = Path("/run/kopf-sdk")
# Made by whoever looks for plugins there; the default is on the host.
VOLUME_PLUGINS = STATE / "volume-plugins"
