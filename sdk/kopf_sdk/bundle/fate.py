"""What becomes of a rendered object: one of five fates, where it went, why, and what to do if it has no place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kopf_sdk.bundle.objects import Object, Ref, pod_spec

__all__ = ["Disposition", "Fate", "Level", "Notice", "remedies", "value_way", "without_claims"]


class Disposition(StrEnum):
    """The five fates. Every rendered object has exactly one."""

    CSV = "csv"
    FILE = "file"
    TRANSFORMED = "transformed"
    LEFT_OUT = "left out"
    NO_PLACE = "no place"


class Level(StrEnum):
    """How much a notice weighs: an error stops the build."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Fate:
    """The fate of one object. `where` is a field of the CSV or a file, empty when it went nowhere."""

    ref: Ref
    disposition: Disposition
    where: str = ""
    reason: str = ""
    source: str = ""
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know about the translation, e.g. rights that become wider under OLM."""

    level: Level
    code: str
    message: str
    ref: Ref | None = None
    hint: str = ""


def remedies(obj: Object, *targets: str) -> tuple[str, ...]:
    """Return the ways out for an object without a place, each as lines to paste into bundle.yaml.

    Parameters
    ----------
    targets
        The `map` targets that make sense for the object.
    """
    head = f"{{kind: {obj.kind}, name: {_quoted(obj.name)}"
    head += f", namespace: {obj.namespace}" if obj.namespace and obj.kind in {"Role", "RoleBinding"} else ""
    ways = [f"drop:\n- {head}, reason: why the operator works without it}}"]
    ways.extend(f"map:\n- {head}, to: {target}}}" for target in targets)
    if "deployment" in targets and obj.spec.get("volumeClaimTemplates"):
        ways[1 + targets.index("deployment")] += f"\n{without_claims(obj)}"
    if not targets:
        ways.append(f"patches:\n- target: {head}}}\n  merge: {{kind: SomethingOlmTakes}}")
    ways.append(value_way(obj.source))
    return tuple(ways)


def value_way(source: str, value: str = "") -> str:
    """Return the way out by values, with the value if it is known."""
    template = f", see {source}" if source else ""
    if value:
        return f"values:\n  {value}  # the chart leaves it out with it, and all else that depends on it{template}"
    return f"values:\n  {{}}  # the value with which the chart leaves it out{template}"


def without_claims(obj: Object) -> str:
    """Return the patch by which a StatefulSet puts up with volumes that are empty after every restart."""
    names = [str((claim.get("metadata") or {}).get("name")) for claim in obj.spec["volumeClaimTemplates"]]
    volumes = [*(pod_spec(obj).get("volumes") or ()), *({"name": name, "emptyDir": {}} for name in names)]
    operations: list[dict[str, Any]] = [
        {"op": "remove", "path": "/spec/volumeClaimTemplates"},
        {"op": "add", "path": "/spec/template/spec/volumes", "value": volumes},
    ]
    lines = "\n".join(f"  - {json.dumps(operation)}" for operation in operations)
    return f"patches:\n- target: {{kind: {obj.kind}, name: {_quoted(obj.name)}}}\n  json:\n{lines}"


def _quoted(name: str) -> str:
    return f'"{name}"' if any(character in name for character in ":{}[],&*#?|<>=!%@`\"'") else name
