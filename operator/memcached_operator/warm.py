"""Which changes memcached's memory file survives, known before they are tried.

Source: `_mc_meta_save_cb` and `_mc_meta_load_cb` in memcached.c, restart.c. A file with other values is not read, and
memcached starts with an empty cache. What is kept of an item has been the same from 1.6.18 to 1.6.45 at least, so older
versions read what newer ones saved, with one exception: since 1.6.25 a line is missing that older ones ask for.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Sequence

__all__ = ["refusal", "version_refusal"]

_SHORT = "a:AZp:s:U:m:Mc:khiVrvdl:u:P:f:n:t:D:LR:Cb:B:I:SFXWY:e:o:N:"
_LONG = {
    "memory-limit=": "-m",
    "max-item-size=": "-I",
    "slab-growth-factor=": "-f",
    "slab-min-size=": "-n",
    "disable-cas": "-C",
    "enable-largepages": "-L",
    "memory-file=": "-e",
    "extended=": "-o",
}
_OTHERS = (
    *("unix-mask=", "enable-shutdown", "enable-ssl", "port=", "unix-socket=", "udp-port=", "disable-evictions"),
    *("conn-limit=", "lock-memory", "help", "license", "version", "enable-coredumps", "verbose", "daemon", "listen="),
    *("user=", "pidfile=", "threads=", "max-reqs-per-event=", "listen-backlog=", "protocol=", "enable-sasl"),
    *("disable-flush-all", "disable-dumping", "disable-watch", "auth-file=", "napi-ids="),
)
_NAMES = {
    "-m": "memory",
    "-I": "maxItemSize",
    "-f": "the growth factor of slabs (-f)",
    "-n": "the smallest slab size (-n)",
    "-C": "CAS (-C)",
    "-L": "large pages (-L)",
    "-e": "the memory file",
}
# Of -o: how slabs are cut, and (not checked by memcached) in which LRU list an item is.
_SHAPING = re.compile(
    r"slab_sizes|slab_chunk_max|(no_)?slab_reassign|(no_)?modern|no_chunked_items|(no_)?lru_maintainer|ext_.*"
)
_HARMLESS = ("--threads=", "--conn-limit=", "-v")
_SHORTER_METADATA = (1, 6, 25)


def refusal(before: Sequence[str], after: Sequence[str]) -> str:
    """Return why memcached with the arguments `after` would not read what it saved with `before`; or nothing."""
    try:
        old, new = _shape(before), _shape(after)
    except getopt.GetoptError:  # of a memcached that we do not know: any change but of these counts
        old, new = ({word: "" for word in words if not word.startswith(_HARMLESS)} for words in (before, after))
    changed = sorted({_NAMES.get(name, name) for name in old.keys() | new.keys() if old.get(name) != new.get(name)})
    return f"memcached does not read its memory file with another value of {', '.join(changed)}" if changed else ""


def version_refusal(before: str | None, after: str | None) -> str:
    """Return why the version `after` would not read what `before` saved; empty when it would.

    None stands for a version that is not known.
    """
    if after is None or _numbers(after) >= _SHORTER_METADATA:
        return ""
    if before is not None and _numbers(before) < _SHORTER_METADATA:
        return ""
    return f"memcached {after} does not read the memory file of {before or 'a newer version'}"


def _shape(words: Sequence[str]) -> dict[str, str]:
    """Return those of the arguments that the memory file depends on. Raises GetoptError for what is none."""
    options, _ = getopt.gnu_getopt(list(words), _SHORT, [*_LONG, *_OTHERS])
    found: dict[str, str] = {}
    names = {f"--{name.rstrip('=')}": short for name, short in _LONG.items()}
    for name, value in options:
        short = names.get(name, name)
        if short in _NAMES:
            found[short] = value
        elif short == "-o":
            parts = (part.partition("=") for part in value.split(","))
            found |= {f"-o {key}": setting for key, _, setting in parts if _SHAPING.fullmatch(key)}
    return found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
