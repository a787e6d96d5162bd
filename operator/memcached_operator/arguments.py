"""memcached's command line (memcached(1), doc/tls.txt)."""

from __future__ import annotations

import hashlib

from memcached_operator import listeners
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.paths import AUTH_FILE, EXTSTORE_FILE, MEMORY_FILE, TLS_PATH
from memcached_operator.sizing import extstore_mib, item_memory_mib, max_item_bytes

__all__ = ["argument_lines", "command_line", "digest", "live_memory"]

_MEMORY = "--memory-limit="
_VERIFY_MODES = {"none": 0, "request": 1, "require": 2}


def command_line(memcached: Memcached) -> list[str]:
    """Return memcached's arguments, one element per word."""
    spec = memcached.spec
    return [
        *listeners.arguments(memcached),
        f"{_MEMORY}{item_memory_mib(memcached)}",
        f"--conn-limit={spec.max_connections}",
        f"--threads={spec.threads}",
        f"--max-item-size={max_item_bytes(memcached)}",
        *([f"-{'v' * spec.verbosity}"] if spec.verbosity else []),
        *([f"--auth-file={AUTH_FILE}"] if spec.auth else []),
        *([f"--memory-file={MEMORY_FILE}"] if spec.warm_restart.enabled else []),
        *_extstore(memcached),
        *_tls(memcached),
        *spec.extra_args,
    ]


def live_memory(memcached: Memcached) -> bool:
    """Tell whether `-m` can change while memcached runs, and be read from the pod when it starts again.

    Not without a shell to read it: then it stands in the pod template. Not with a memory file either: that has its size
    from the start.
    """
    return memcached.spec.probes.type != "tcp" and not memcached.spec.warm_restart.enabled


def argument_lines(memcached: Memcached) -> str:
    """Return the arguments that memcached reads only when it starts, one per line: all but a `-m` that can change."""
    fixed = [word for word in command_line(memcached) if not (live_memory(memcached) and word.startswith(_MEMORY))]
    return "".join(f"{word}\n" for word in fixed)


def digest(memcached: Memcached) -> str:
    """Return the name of these arguments: pods carry it, and find the file with the arguments by it."""
    return hashlib.sha256(argument_lines(memcached).encode()).hexdigest()[:16]


def _extstore(memcached: Memcached) -> list[str]:
    extstore = memcached.spec.extstore
    return [f"--extended=ext_path={EXTSTORE_FILE}:{extstore_mib(extstore)}M"] if extstore else []


def _tls(memcached: Memcached) -> list[str]:
    tls = memcached.spec.tls
    if tls is None:
        return []
    options = [f"ssl_chain_cert={TLS_PATH}/tls.crt", f"ssl_key={TLS_PATH}/tls.key"]
    if tls.client_certificates != "none":
        options += [
            f"ssl_ca_cert={TLS_PATH}/ca.crt",
            f"ssl_verify_mode={_VERIFY_MODES[tls.client_certificates]}",
        ]
    return ["--enable-ssl", f"--extended={','.join(options)}"]
