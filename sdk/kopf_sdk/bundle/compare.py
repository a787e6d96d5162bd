"""Two values compared field by field; nulls, and the order of lists whose items have names, do not count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["ABSENT", "Difference", "differences"]


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Difference(NamedTuple):
    """One field that differs: `before` in the rendering, `after` under OLM; `ABSENT` where it is not."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_short(self.before)} → {_short(self.after)}"


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Yield every field in which two values differ."""
    before, after = (ABSENT if value is None else value for value in (before, after))
    if _empty(before) and _empty(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(
                before.get(key, ABSENT), after.get(key, ABSENT), f"{path}.{key}" if path else str(key)
            )
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Difference(path, before, after)


def _empty(value: Any) -> bool:
    """Say whether a value says nothing: absent, null, or without content but nulls."""
    return value is ABSENT or value == [] or (isinstance(value, Mapping) and all(v is None for v in value.values()))


def _lists(before: list[Any], after: list[Any], path: str) -> Iterator[Difference]:
    key = _key(before, after)
    if key is None:
        for number in range(max(len(before), len(after))):
            old = before[number] if number < len(before) else ABSENT
            new = after[number] if number < len(after) else ABSENT
            yield from differences(old, new, f"{path}[{number}]")
        return
    old_items, new_items = {item[key]: item for item in before}, {item[key]: item for item in after}
    for name in [*old_items, *(name for name in new_items if name not in old_items)]:
        yield from differences(old_items.get(name, ABSENT), new_items.get(name, ABSENT), f"{path}[{name}]")


def _key(before: list[Any], after: list[Any]) -> str | None:
    """Return the field that identifies the items of both lists: the mount path of mounts, else the name."""
    for key in ("mountPath", "name"):
        items = [*before, *after]
        if items and all(isinstance(item, Mapping) and isinstance(item.get(key), str) for item in items):
            unique = all(len({item[key] for item in side}) == len(side) for side in (before, after))
            if unique:
                return key
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
