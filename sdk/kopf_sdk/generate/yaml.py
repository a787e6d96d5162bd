"""Manifests as people write them: YAML without anchors, text of several lines as a block."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

__all__ = ["to_yaml", "to_yaml_documents"]


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write a value as often as it occurs."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
# What the YAML of Go reads as something else than text, and PyYAML would write without quotes.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("[-+]?0o[0-7_]+$"), list("-+0"))
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.][0-9_.]*[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def to_yaml(value: Any) -> str:
    """Return one document, keys in the order they have."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)


def to_yaml_documents(values: Iterable[Any]) -> str:
    """Return a stream of documents, each opened by `---` but the first."""
    return "---\n".join(to_yaml(value) for value in values)
