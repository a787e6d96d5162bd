"""YAML as Kubernetes reads it, with libyaml's C code.

PyYAML speaks YAML 1.1, Kubernetes (sigs.k8s.io/yaml) a mixture: dates stay strings, `12:30` is no number, `1e3` is one.
Loader and dumper here share one table of implicit types, so what is written unquoted is read back as the same type by
both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml as _yaml

from kopf_sdk.errors import SdkError

__all__ = ["dump", "dump_all", "load", "load_all", "load_file"]

_IMPLICIT: tuple[tuple[str, str, str], ...] = (
    (
        "tag:yaml.org,2002:bool",
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
        "yYnNtTfFoO",
    ),
    (
        "tag:yaml.org,2002:int",
        r"^(?:[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$",
        "-+0123456789",
    ),
    (
        "tag:yaml.org,2002:float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+0123456789.",
    ),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("tag:yaml.org,2002:merge", r"^(?:<<)$", "<"),
)
_LEGACY_BOOLEAN = re.compile(r"^(?:y|Y|n|N)$")
_FALLBACK = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$")


_NO_KEY = object()
_MERGE = "<<"
# Plain scalars repeat a lot: what each means is worked out once.
_PLAIN: dict[str, Any] = {}
_PLAIN_LIMIT = 100_000
_STARTS: dict[type, type] = {_yaml.MappingStartEvent: dict, _yaml.SequenceStartEvent: list}


class _Loader(_yaml.CSafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own way to start from no resolvers


class _Dumper(_yaml.CSafeDumper):
    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's own way to start from no resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in _IMPLICIT:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            _tag, re.compile(_pattern), list(_first.replace("\0", "")) + [""] * ("\0" in _first)
        )
# Other readers of the bundle (Go's yaml.v2, Ansible) take these for booleans and base-60 numbers: strings get quotes.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", _LEGACY_BOOLEAN, list("yYnN"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", _FALLBACK, list("-+0123456789"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:timestamp", re.compile(r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?$"), list("0123456789")
)


def _construct_int(loader: _Loader, node: _yaml.ScalarNode) -> int:
    text = str(node.value).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0o"):
        return sign * int(digits[2:], 8)
    if digits.startswith(("0b", "0x")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits[0] == "0" else 10)


def _construct_float(loader: _Loader, node: _yaml.ScalarNode) -> float:
    text = str(node.value).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _represent_str(dumper: _Dumper, value: str) -> _yaml.ScalarNode:
    block = "\n" in value and not any(line.endswith((" ", "\t")) for line in value.split("\n"))
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Dumper.add_representer(str, _represent_str)


def load(text: str, *, source: str = "input") -> Any:
    """Return the first document in `text`, None when there is none.

    Raises
    ------
    SdkError
        `text` is not YAML; names `source` and the line.
    """
    return next(load_all(text, source=source), None)


def load_all(text: str, *, source: str = "input") -> Iterator[Any]:
    """Yield every document in `text`, None for an empty one; errors as in `load`."""
    try:
        yield from _documents(text)
    except _yaml.YAMLError as error:
        raise _not_yaml(error, source) from error


def _documents(text: str) -> Iterator[Any]:
    """Build values straight from libyaml's events, which takes half the time of PyYAML's way over nodes."""
    loader = _Loader(text)
    try:
        while not isinstance(event := loader.get_event(), _yaml.StreamEndEvent):
            if isinstance(event, _yaml.DocumentStartEvent):
                yield _value(loader, {})
    finally:
        loader.dispose()


def _value(loader: _Loader, anchors: dict[str, Any]) -> Any:
    """Return the value that the next events describe."""
    stack: list[tuple[Any, Any]] = []
    container: Any = None
    key: Any = _NO_KEY
    while True:
        event: Any = loader.get_event()
        kind = event.__class__
        if kind in _STARTS:
            stack.append((container, key))
            container, key = _STARTS[kind](), _NO_KEY
            if event.anchor:
                anchors[event.anchor] = container
            continue
        if kind is _yaml.ScalarEvent:
            value = _scalar(loader, event)
            if event.anchor:
                anchors[event.anchor] = value
        elif kind is _yaml.AliasEvent:
            value = _alias(event, anchors)
        else:
            value = container
            container, key = stack.pop()
        if container is None:
            return value
        key = _add(container, key, value)


def _add(container: Any, key: Any, value: Any) -> Any:
    """Put a value into a list, or under its key into a mapping; return the key that waits for its value."""
    if container.__class__ is list:
        container.append(value)
        return _NO_KEY
    if key is _NO_KEY:
        return value if value.__hash__ is not None else str(value)
    if key is _MERGE:
        for source in value if isinstance(value, list) else [value]:
            for inner_key, inner in source.items():
                container.setdefault(inner_key, inner)
    else:
        container[key] = value
    return _NO_KEY


def _alias(event: Any, anchors: dict[str, Any]) -> Any:
    if event.anchor not in anchors:
        raise _yaml.composer.ComposerError(None, None, f"undefined alias {event.anchor!r}", event.start_mark)
    return anchors[event.anchor]


def _scalar(loader: Any, event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        if event.tag in {None, "!", "tag:yaml.org,2002:str"} or event.implicit[1]:
            return text
        if event.tag == "tag:yaml.org,2002:merge":
            return _MERGE
        return loader.construct_object(_yaml.ScalarNode(event.tag, text, event.start_mark))
    known = _PLAIN.get(text, _NO_KEY)
    if known is not _NO_KEY:
        return known
    tag = loader.resolve(_yaml.ScalarNode, text, (True, False))
    if tag == "tag:yaml.org,2002:str":
        value: Any = text
    elif tag == "tag:yaml.org,2002:merge":
        value = _MERGE
    else:
        value = loader.construct_object(_yaml.ScalarNode(tag, text, event.start_mark))
    if len(_PLAIN) < _PLAIN_LIMIT:
        _PLAIN[text] = value
    return value


def load_file(path: Path) -> Any:
    """Return the single document of a file; raises SdkError when it cannot be read or is not YAML."""
    try:
        return load(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise SdkError(f"{path}: {error.strerror}", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise SdkError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def dump(data: Any) -> str:
    """Return `data` as block-style YAML, keys in the given order, long lines unbroken, one newline at the end."""
    return _yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=4096)


def dump_all(documents: list[Any]) -> str:
    """Return the documents as one stream, separated by `---`."""
    return "---\n".join(dump(document) for document in documents)


def _not_yaml(error: _yaml.YAMLError, source: str) -> SdkError:
    mark = getattr(error, "problem_mark", None)
    where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark is not None else source
    problem = getattr(error, "problem", None) or str(error)
    return SdkError(
        f"{where}: not valid YAML: {problem}", hint="Fix the syntax there; tabs and missing quotes are common causes."
    )
