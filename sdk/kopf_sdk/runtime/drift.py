"""Whether a live object is still what we want, decided without asking the API server.

Server-side apply's rule turned around: a field that another writer changed is no longer ours in `managedFields`. So an
object is settled when every field we want is there, equal and ours, and nothing is ours that we no longer want.
Values that the server writes differently (quantities) or adds (defaults) are no drift.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from kopf_sdk.runtime.kinds import Manifest

__all__ = ["differences", "first_difference", "normalized"]

Fields = Mapping[str, Any]
"""A node of FieldsV1: keys are `f:name`, `k:{…}` (list item by its keys), `v:…` (set member), `.`."""

QUANTITIES = frozenset({"limits", "requests", "capacity", "hard", "sizeLimit", "averageValue", "divisor", "min", "max"})
"""Fields whose value, or whose map of values, are quantities."""

SUFFIXES = {
    **{
        suffix: Decimal(10) ** power
        for suffix, power in zip("numkMGTPE", (-9, -6, -3, 3, 6, 9, 12, 15, 18), strict=True)
    },
    **{
        suffix: Decimal(2) ** power
        for suffix, power in zip(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), range(10, 70, 10), strict=True)
    },
}

DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "protocol": ("TCP",),
    "volumeMode": ("Filesystem",),
    "apiVersion": ("v1",),
    "kind": ("PersistentVolumeClaim",),
    "status": ({"phase": "Pending"},),
    "expirationSeconds": (3600,),
    "defaultMode": (420,),
    "divisor": ("0",),
    "pathType": ("ImplementationSpecific",),
}
"""What the server adds inside atomic lists and maps of the built-in kinds, where ownership cannot tell it from ours."""

EMPTY: tuple[Any, ...] = (None, {}, [], "")


def normalized(manifest: Mapping[str, Any], *, has_nulls: bool = True) -> Manifest:
    """Return the manifest as the server would keep it: no nulls, `stringData` of a Secret as `data`.

    `has_nulls` is False where there is none to be looked for; parts are shared with the given manifest then.
    """
    cleaned: Manifest = _without_nulls(dict(manifest)) if has_nulls else dict(manifest)
    if cleaned.get("kind") == "Secret" and (texts := cleaned.pop("stringData", None)):
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        cleaned["data"] = {**cleaned.get("data", {}), **encoded}
    return cleaned


def first_difference(desired: Manifest, live: Manifest, applied: str | None) -> str | None:
    """Return the path of the first field to repair, or None when there is nothing to do; see `differences`."""
    return next(differences(desired, live, applied), None)


def differences(desired: Manifest, live: Manifest, applied: str | None) -> Iterator[str]:
    """Yield the paths of the fields to repair.

    Parameters
    ----------
    desired
        The manifest that would be applied, normalized. Owner references are not looked at.
    live
        The object as the API server last sent it.
    applied
        Our FieldsV1 of the live object as JSON; None where we never applied it.
    """
    if applied is None:
        yield "metadata.managedFields"
        return
    fields = _decoded(applied)
    want = {key: value for key, value in desired.items() if key not in ("apiVersion", "kind", "metadata")}
    metadata = {key: desired["metadata"][key] for key in ("labels", "annotations") if desired["metadata"].get(key)}
    if metadata:
        want["metadata"] = metadata
    yield from _missing(want, live, fields, "")
    yield from _surplus(fields, want, "")


@functools.lru_cache(maxsize=256)
def _decoded(applied: str) -> Fields:
    """Decode FieldsV1: the same few texts for all resources of a kind. Shared: nobody may change it."""
    fields: Fields = json.loads(applied)
    return fields


def _missing(want: Any, live: Any, fields: Fields, path: str) -> Iterator[str]:
    """Yield the wanted fields that are absent, different, or owned by somebody else."""
    if isinstance(want, dict) and isinstance(live, dict):
        if want and not any(key.startswith("f:") for key in fields):
            yield from _atomic(want, live, path)
            return
        for key, value in want.items():
            at = f"{path}.{key}" if path else key
            if key not in live:
                if value not in EMPTY:
                    yield at
            elif f"f:{key}" not in fields:
                yield at
            else:
                yield from _missing(value, live[key], fields[f"f:{key}"], at)
    elif isinstance(want, list) and isinstance(live, list):
        if any(key.startswith("k:") for key in fields):
            yield from _missing_items(want, live, fields, path)
        elif any(key.startswith("v:") for key in fields):
            owned = [json.loads(key[2:]) for key in fields if key.startswith("v:")]
            yield from (f"{path}[{item}]" for item in want if item not in live or item not in owned)
        else:
            yield from _atomic(want, live, path)
    elif not _same(want, live, path):
        yield path


def _missing_items(want: Sequence[Any], live: Sequence[Any], fields: Fields, path: str) -> Iterator[str]:
    """Compare the items of a list that the server merges by key."""
    owned = [(json.loads(key[2:]), node) for key, node in fields.items() if key.startswith("k:")]
    last = -1
    for number, item in enumerate(want):
        at = f"{path}[{item.get('name', number) if isinstance(item, dict) else number}]"
        match = next(((keys, node) for keys, node in owned if _identifies(keys, item)), None)
        index = next((i for i, other in enumerate(live) if match and _identifies(match[0], other)), None)
        if match is None or index is None or index < last:
            yield at
            return
        last = index
        yield from _missing(item, live[index], match[1], at)


def _atomic(want: Any, live: Any, path: str) -> Iterator[str]:
    """Compare what is owned as a whole: nothing may be added but known defaults."""
    if isinstance(want, dict) and isinstance(live, dict):
        for key, value in want.items():
            at = f"{path}.{key}"
            if key in live:
                yield from _atomic(value, live[key], at)
            elif value not in EMPTY:
                yield at
        for key, value in live.items():
            if key not in want and value not in EMPTY and value not in DEFAULTS.get(key, ()):
                yield f"{path}.{key}"
    elif isinstance(want, list) and isinstance(live, list):
        if len(want) != len(live):
            yield path
            return
        for number, (item, other) in enumerate(zip(want, live, strict=True)):
            yield from _atomic(item, other, f"{path}[{number}]")
    elif not _same(want, live, path):
        yield path


def _surplus(fields: Fields, want: Any, path: str) -> Iterator[str]:
    """Yield the fields that are ours and no longer wanted."""
    for key, node in fields.items():
        mark, _, name = key.partition(":")
        if mark == "f":
            at = f"{path}.{name}" if path else name
            if isinstance(want, dict) and name in want:
                yield from _surplus(node, want[name], at)
            elif not (path == "" and name == "metadata" and not node):
                yield at
        elif mark == "k":
            keys = json.loads(name)
            item = next((item for item in want if _identifies(keys, item)), None) if isinstance(want, list) else None
            if item is None:
                yield f"{path}[{name}]"
            else:
                yield from _surplus(node, item, f"{path}[{name}]")
        elif mark == "v" and not (isinstance(want, list) and json.loads(name) in want):
            yield f"{path}[{name}]"


def _identifies(keys: Mapping[str, Any], item: Any) -> bool:
    """Whether a list item has these keys; one that the item leaves out was defaulted by the server."""
    return isinstance(item, dict) and all(
        item[key] == value if key in item else value in DEFAULTS.get(key, (value,)) for key, value in keys.items()
    )


def _same(want: Any, live: Any, path: str) -> bool:
    if want == live:
        return type(want) is type(live) or not isinstance(want, bool)
    if want in EMPTY and live in EMPTY:
        return True
    parts = path.split(".")
    if not QUANTITIES.intersection(parts[-2:]):
        return False
    left, right = _quantity(want), _quantity(live)
    return left is not None and left == right


def _quantity(value: Any) -> Decimal | None:
    """Parse a quantity (resource.Quantity): `1500m`, `1.5`, `1Gi`, `1e3`."""
    text = str(value)
    for length in (2, 1):
        if (factor := SUFFIXES.get(text[-length:])) is not None and len(text) > length:
            try:
                return Decimal(text[:-length]) * factor
            except InvalidOperation:
                return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
