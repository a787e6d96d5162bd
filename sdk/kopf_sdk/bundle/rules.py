"""The rules of bundle.yaml applied to rendered objects: drop, map, patches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from kopf_sdk.bundle.config import Config, DropRule, MapRule, Target
from kopf_sdk.bundle.objects import Object
from kopf_sdk.errors import SdkError

__all__ = ["Rules", "matches"]


def matches(target: Target, obj: Object) -> bool:
    """Say whether a rule means an object: kind, name (with `*`) and, if given, namespace."""
    return (
        target.kind == obj.kind
        and fnmatchcase(obj.name, target.name)
        and (target.namespace is None or target.namespace == obj.namespace)
    )


class Rules:
    """Answers for every object what bundle.yaml says of it, and remembers which rules were of use."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._used: set[int] = set()

    def patched(self, objects: Collection[Object]) -> list[Object]:
        """Return the objects with every patch applied; raises SdkError for a patch that does not fit."""
        result = list(objects)
        for number, patch in enumerate(self._config.patches):
            for index, obj in enumerate(result):
                if not matches(patch.target, obj):
                    continue
                self._used.add(id(patch))
                where = f"bundle.yaml: patches[{number}] on {obj.ref}"
                data = (
                    _merged(obj.data, patch.merge)
                    if patch.merge is not None
                    else _json_patched(obj.data, patch.json or [], where)
                )
                if not isinstance(data, dict) or not data.get("kind") or not (data.get("metadata") or {}).get("name"):
                    raise SdkError(f"{where}: what remains is no Kubernetes object")
                result[index] = obj.with_data(data)
        return result

    def drop(self, obj: Object) -> DropRule | None:
        """Return the rule that leaves an object out."""
        rule: DropRule | None = self._first(self._config.drop, obj)
        return rule

    def mapped(self, obj: Object) -> str | None:
        """Return the place that a rule gives an object."""
        rule: MapRule | None = self._first(self._config.map, obj)
        return rule.to if rule else None

    def unused(self) -> list[str]:
        """Return the rules that meant no object, as paths in bundle.yaml: most likely they are misspelt."""
        tables: tuple[tuple[str, Collection[Any]], ...] = (
            ("drop", self._config.drop),
            ("map", self._config.map),
            ("patches", self._config.patches),
        )
        return [
            f"{name}[{number}]"
            for name, rules in tables
            for number, rule in enumerate(rules)
            if id(rule) not in self._used
        ]

    def _first(self, rules: Collection[Any], obj: Object) -> Any:
        for rule in rules:
            if matches(rule, obj):
                self._used.add(id(rule))
                return rule
        return None


def _merged(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(value) if isinstance(value, Mapping) else {}
    for key, inner in patch.items():
        if inner is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), inner)
    return result


def _json_patched(value: Any, operations: list[dict[str, Any]], where: str) -> Any:
    """RFC 6902: add, remove, replace, test, move, copy."""
    document = copy.deepcopy(dict(value))
    for number, operation in enumerate(operations):
        try:
            _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            detail = error.args[0] if error.args else type(error).__name__
            raise SdkError(
                f"{where}, operation {number} ({operation.get('op')} {operation.get('path')}): {detail}",
                hint="Compare the path with the rendering: `helm template`.",
            ) from error
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> None:
    actions: dict[str, Callable[[Any, str], None]] = {
        "add": lambda parent, key: _insert(parent, key, operation["value"]),
        "replace": lambda parent, key: _put(parent, key, operation["value"]),
        "remove": _remove,
        "test": lambda parent, key: _test(parent, key, operation["value"]),
        "copy": lambda parent, key: _insert(parent, key, copy.deepcopy(_resolve(document, operation["from"]))),
    }
    kind = operation.get("op")
    if kind == "move":
        moved = _resolve(document, operation["from"])
        source, last = _parent(document, operation["from"])
        _remove(source, last)
        parent, key = _parent(document, operation["path"])
        _insert(parent, key, moved)
        return
    if kind not in actions:
        raise ValueError(f"unknown operation {kind!r}")
    parent, key = _parent(document, operation["path"])
    actions[str(kind)](parent, key)


def _parts(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise ValueError("a path starts with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _parent(document: Any, pointer: str) -> tuple[Any, str]:
    *way, last = _parts(pointer)
    for part in way:
        document = _get(document, part)
    return document, last


def _resolve(document: Any, pointer: str) -> Any:
    parent, key = _parent(document, pointer)
    return _get(parent, key)


def _get(parent: Any, key: str) -> Any:
    if isinstance(parent, list):
        return parent[int(key)]
    if key not in parent:
        raise KeyError(f"there is no {key}")
    return parent[key]


def _put(parent: Any, key: str, value: Any) -> None:
    _get(parent, key)
    if isinstance(parent, list):
        parent[int(key)] = value
    else:
        parent[key] = value


def _insert(parent: Any, key: str, value: Any) -> None:
    if isinstance(parent, list):
        position = len(parent) if key == "-" else int(key)
        if position > len(parent):
            raise IndexError(f"the list has {len(parent)} items")
        parent.insert(position, value)
    else:
        parent[key] = value


def _remove(parent: Any, key: str) -> None:
    _get(parent, key)
    del parent[int(key) if isinstance(parent, list) else key]


def _test(parent: Any, key: str, value: Any) -> None:
    if _get(parent, key) != value:
        raise ValueError("the value is another one")
