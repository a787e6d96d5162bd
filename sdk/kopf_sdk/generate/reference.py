"""CustomResourceDefinitions → the API reference that people read (Markdown)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from kopf_sdk.generate.output import MARK
from kopf_sdk.generate.schema import Schema

__all__ = ["reference"]

_HEADING = re.compile(r"#+ `(.*)`")
_LINK = re.compile(r"\(#([^)]+)\)")
_COUNTED = {"Length": "character", "Items": "entry", "Properties": "entry"}
_PLURAL = {"character": "characters", "entry": "entries"}


def reference(crds: Iterable[dict[str, Any]], sources: str) -> str:
    """Return one page for all kinds: names, columns, and one table of fields per object.

    Parameters
    ----------
    crds
        The manifests.
    sources
        Where the types are defined, for the header.
    """
    lines = [f"<!-- {MARK} from {sources}; do not edit. -->", "# API reference", ""]
    above: Counter[str] = Counter()
    for crd in crds:
        for version in crd["spec"]["versions"]:
            section = _kind(crd["spec"], version)
            lines += [_numbered(line, above) for line in section]
            above.update(_anchor(found[1]) for line in section if (found := _HEADING.fullmatch(line)))
    return "\n".join(lines).rstrip("\n") + "\n"


def _numbered(line: str, above: Counter[str]) -> str:
    """Return the line with links to headings of its own section, where sections above have the same headings."""
    return _LINK.sub(lambda found: f"(#{found[1]}-{above[found[1]]})" if above[found[1]] else found[0], line)


def _kind(spec: dict[str, Any], version: dict[str, Any]) -> list[str]:
    names, schema = spec["names"], version["schema"]["openAPIV3Schema"]
    facts = [f"`apiVersion: {spec['group']}/{version['name']}`", f"`kind: {names['kind']}`", spec["scope"].lower()]
    if names.get("shortNames"):
        facts.append("short names " + ", ".join(f"`{name}`" for name in names["shortNames"]))
    if not version["served"]:
        facts.append("not served")
    lines = [f"## {names['kind']} ({spec['group']}/{version['name']})", "", *_prose(schema), " · ".join(facts), ""]
    if version.get("deprecated"):
        lines += [f"**Deprecated.** {version.get('deprecationWarning', '')}".strip(), ""]
    lines += _rules(schema)
    for section in ("spec", "status"):
        if section in schema["properties"]:
            lines += _object(section, schema["properties"][section], level=3)
    for section, value in schema["properties"].items():
        if section not in ("apiVersion", "kind", "metadata", "spec", "status"):
            lines += _object(section, value, level=3)
    return lines


def _object(path: str, schema: Schema, level: int) -> list[str]:
    lines = [f"{'#' * level} `{path}`", "", *_prose(schema), *_rules(schema)]
    if "properties" not in schema:
        return [*lines, f"{_type(path, schema)}.", ""]
    lines += ["| field | type | description |", "|---|---|---|"]
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        lines.append(f"| `{name}` | {_type(f'{path}.{name}', field)} | {_meaning(field, required=name in required)} |")
    lines.append("")
    for name, field in schema["properties"].items():
        for below, inner in _objects(f"{path}.{name}", field):
            lines += _object(below, inner, min(level + 1, 6))
    return lines


def _objects(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the objects with named fields that a field holds, itself or in its entries."""
    if "properties" in schema:
        yield path, schema
    elif "items" in schema:
        yield from _objects(f"{path}[]", schema["items"])
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from _objects(f"{path}.*", schema["additionalProperties"])


def _type(path: str, schema: Schema) -> str:
    if schema.get("x-kubernetes-embedded-resource"):
        return "any Kubernetes object"
    if "properties" in schema:
        return f"[object](#{_anchor(path)})"
    if "items" in schema:
        return f"list of {_type(f'{path}[]', schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(f'{path}.*', schema['additionalProperties'])}"
    if schema.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return "anything" if "type" not in schema else f"any {schema['type']}"
    return f"{schema['type']} ({schema['format']})" if "format" in schema else str(schema["type"])


def _meaning(schema: Schema, *, required: bool) -> str:
    """Return the cell that says what a field is for and what it may hold."""
    parts = ["**Required.**"] if required else []
    if "description" in schema:
        parts.append(_cell(schema["description"]))
    if "default" in schema and schema["default"] != {}:
        parts.append(f"Default: {_code(schema['default'])}.")
    if schema.get("nullable"):
        parts.append("May be null.")
    if "enum" in schema:
        parts.append(f"One of {', '.join(_code(value) for value in schema['enum'])}.")
    if bounds := _bounds(schema):
        parts.append(f"{bounds[0].upper()}{bounds[1:]}.")
    if "pattern" in schema:
        parts.append(f"Matches {_code(schema['pattern'], quoted=False)}.")
    if "example" in schema:
        parts.append(f"Example: {_code(schema['example'])}.")
    if keys := schema.get("x-kubernetes-list-map-keys"):
        parts.append(f"Entries are told apart by {', '.join(f'`{key}`' for key in keys)}.")
    if schema.get("x-kubernetes-list-type") == "set":
        parts.append("No entry twice.")
    parts += [_sentence(rule) for rule in schema.get("x-kubernetes-validations", ()) if "properties" not in schema]
    return " ".join(parts)


def _bounds(schema: Schema) -> str:
    found = []
    low, high = schema.get("minimum"), schema.get("maximum")
    exclusive = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None and not any(exclusive):
        found.append(f"{low} to {high}")
    else:
        found += [f"{'more than' if exclusive[0] else 'at least'} {low}"] if low is not None else []
        found += [f"{'less than' if exclusive[1] else 'at most'} {high}"] if high is not None else []
    found += [_count(schema.get(f"min{of}"), schema.get(f"max{of}"), unit) for of, unit in _COUNTED.items()]
    if "multipleOf" in schema:
        found.append(f"a multiple of {schema['multipleOf']}")
    return ", ".join(text for text in found if text)


def _count(low: int | None, high: int | None, unit: str) -> str:
    if not low and high is None:
        return ""
    units = unit if (low if high is None else high) == 1 else _PLURAL[unit]
    if not low:
        return f"at most {high} {units}"
    if high is None:
        return f"at least {low} {units}"
    return f"{low} {units}" if low == high else f"{low} to {high} {units}"


def _rules(schema: Schema) -> list[str]:
    rules = schema.get("x-kubernetes-validations", ())
    return ["Rules:", "", *(f"- {_sentence(rule)}" for rule in rules), ""] if rules else []


def _sentence(rule: dict[str, str]) -> str:
    message = rule.get("message")
    return _cell(message) if message else f"`{_cell(rule['rule'])}`"


def _prose(schema: Schema) -> list[str]:
    return [schema["description"], ""] if "description" in schema else []


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(value: Any, *, quoted: bool = True) -> str:
    text = value if isinstance(value, str) and (not quoted or value) else json.dumps(value, ensure_ascii=False)
    return f"`{_cell(text)}`"


def _anchor(path: str) -> str:
    """Return the anchor that GitHub gives the heading of an object, the first one of this name."""
    return "".join(character for character in path.lower() if character.isalnum() or character in "-_")
