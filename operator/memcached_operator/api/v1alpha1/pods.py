"""Parts of the specification that shape the pods: image, resources, place, probes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kopf_sdk.api import Model, PreserveUnknownFields, Quantity, Rule

__all__ = [
    "Amounts",
    "Embedded",
    "ExtraArguments",
    "LabelMap",
    "LocalObjectReference",
    "PodDisruptionBudget",
    "Probes",
    "Resources",
    "UpdateStrategy",
    "WarmRestart",
    "WarmUp",
]

Embedded = Annotated[dict[str, Any], PreserveUnknownFields()]
"""A piece of the pod API that is handed on as it is; the API server judges it when the children are applied."""

LabelMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]
Amounts = Annotated[dict[str, Quantity], Field(max_length=16)]

_FLAGS = "-[ACFLMVWXhikr]*"
"""Short options that take no value, and may stand before another one in a word."""


def _long(*names: str) -> str:
    """Return what matches these options however short they are written: getopt takes the beginning of a name for it."""

    def beginnings(name: str) -> str:
        return f"{name[0]}({beginnings(name[1:])})?" if len(name) > 1 else name

    return f"--({'|'.join(map(beginnings, names))})(=.*)?$"


_OWNED_LONG = _long(
    *("port", "listen", "memory-limit", "conn-limit", "threads", "max-item-size", "verbose", "enable-ssl"),
    *("auth-file", "memory-file"),
)
_OWNED_ARGUMENTS = f"{_FLAGS}[IYZcelmptv]|{_OWNED_LONG}|.*(ext_path|ssl_[a-z_]+|proxy_config)"
_FOREIGN_LONG = _long("udp-port", "unix-socket", "unix-mask", "daemon", "user", "pidfile", "enable-sasl", "protocol")
_FOREIGN_ARGUMENTS = f"{_FLAGS}[BPSUadsu]|{_FOREIGN_LONG}"

ExtraArguments = Annotated[
    # The file that memcached's start reads has one word a line.
    list[Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\r\n]+$")]],
    Field(max_length=32),
    Rule(
        f"self.all(argument, !argument.matches('^({_OWNED_ARGUMENTS})'))",
        message="sets what the operator decides from other fields: use containerPort, memory, maxConnections, threads, "
        "maxItemSize, verbosity, tls, auth, extstore or warmRestart instead",
    ),
    Rule(
        f"self.all(argument, !argument.matches('^({_FOREIGN_ARGUMENTS})'))",
        message="the binary protocol, SASL, UDP, Unix sockets, daemons and other users are not offered: clients "
        "connect by TCP and log in by auth, in the text protocol",
    ),
]


class LocalObjectReference(Model):
    """An object of the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""


class Resources(Model):
    """CPU and memory of the memcached container."""

    requests: Amounts | None = None
    """What the scheduler reserves. An amount given here replaces the derived one."""

    limits: Amounts | None = None
    """What the kernel enforces. An amount given here replaces the derived one."""


class Probes(Model):
    """How the kubelet finds out whether memcached answers."""

    type: Literal["protocol", "tcp"] = "protocol"
    """protocol: a small `sh` script asks memcached for its version. tcp: a connection is enough, for images without a
    shell."""


class PodDisruptionBudget(Model):
    """How many pods a drain of nodes may take at the same time."""

    enabled: bool = True
    """Make a PodDisruptionBudget (from two pods on; for a single pod it would only block drains)."""

    max_unavailable: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods that may be gone at the same time."""


class WarmUp(Model):
    """When a new pod's cache counts as filled."""

    hit_ratio_percent: Annotated[int, Field(ge=1, le=100)] = 80
    """Hit ratio that it has to reach, in percent of what its peers reach in the same time."""

    timeout_seconds: Annotated[int, Field(ge=1, le=86400)] = 600
    """Seconds after which the next pod goes all the same."""


class UpdateStrategy(Model):
    """How pods are replaced when a change needs new ones."""

    max_unavailable: Annotated[int, Field(ge=1, le=1000)] = 1
    """Pods that may be replaced at the same time. Every replaced pod starts with an empty cache."""

    min_ready_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    """Seconds a new pod has to serve, filling its cache, before the next one goes."""

    warm_up: WarmUp | None = None
    """Let the next pod go only when the last new one answers nearly as many reads from its cache as its peers do."""


class WarmRestart(Model):
    """Keep the items when memcached restarts in its pod (memcached's restartable cache)."""

    enabled: bool = False
    """Keep the items in a memory file that memcached saves when it stops. A new image and changed threads,
    maxConnections or verbosity then take effect in the living pod, one pod at a time, and the items stay. They do not
    survive a crash, nor what takes the pod away. Memory cannot grow in place then. Needs a shell in the image."""

    handover: bool = False
    """Where a pod has to be replaced, copy its items to a spare pod first, and from there to the new one."""
