"""Install modes: which namespaces an operator can watch, from the place where its chart says so.

The watch-namespace setting is taken over by OLM's annotation olm.targetNamespaces: empty for all namespaces, one
name, or several with commas between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.config import WatchNamespace
from kopf_sdk.bundle.references import containers

__all__ = ["ALL_MODES", "TARGET_NAMESPACES", "WATCH_TOKEN", "WatchPlan", "follow_target_namespaces", "install_modes"]

ALL_MODES = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
TARGET_NAMESPACES = "metadata.annotations['olm.targetNamespaces']"
# The chart is rendered with this for a watch-namespace value, so that it can be found where the chart puts it.
WATCH_TOKEN = "olm-watch-namespace"  # noqa: S105
_VARIABLE = "OLM_TARGET_NAMESPACES"
_ENV = re.compile(r"^(?:.*_)?WATCH(?:ED|ING)?_?NAMESPACES?$")
_ARGUMENT = re.compile(r"^--?(?:.*-)?watch(?:ed|ing)?-?namespaces?$")


@dataclass(slots=True, eq=False, repr=False)
class WatchPlan:
    """Where the setting was found. `several`: the operator takes a list of namespaces there."""

    places: list[str] = field(default_factory=list)
    several: bool = False
    problem: str = ""


def follow_target_namespaces(deployments: Mapping[str, dict[str, Any]], wish: WatchNamespace | None) -> WatchPlan:
    """Map the watch-namespace settings of the deployments (changed in place) to OLM's target namespaces."""
    plan = WatchPlan()
    for name, spec in deployments.items():
        pod = (spec.get("template") or {}).get("spec") or {}
        for container in containers(pod):
            label = f"{name}, container {container.get('name', '?')}"
            _environment(plan, container, label, wish)
            _arguments(plan, container, label, wish)
    if wish is not None and not plan.places:
        what = wish.env or wish.argument or wish.value
        plan.problem = f"watchNamespace: {what} occurs in no container of the deployments"
    return plan


def install_modes(*, wish: Iterable[str] | None, watch: WatchPlan, conversion: bool) -> list[dict[str, Any]]:
    """Return `spec.installModes`, all four of them.

    Without a setting that the operator could be told its namespaces with it watches all: AllNamespaces only. OLM
    refuses any other mode beside a conversion webhook.
    """
    if wish is not None:
        supported = set(wish)
    elif conversion or not watch.places:
        supported = {"AllNamespaces"}
    else:
        supported = set(ALL_MODES) - (set() if watch.several else {"MultiNamespace"})
    return [{"type": mode, "supported": mode in supported} for mode in ALL_MODES]


def _environment(plan: WatchPlan, container: dict[str, Any], label: str, wish: WatchNamespace | None) -> None:
    for variable in container.get("env") or ():
        name = str(variable.get("name"))
        token = wish is not None and wish.value is not None and WATCH_TOKEN in str(variable.get("value", ""))
        wanted = token or (wish.env == name if wish is not None else bool(_ENV.match(name)))
        if not wanted:
            continue
        if token and variable["value"] != WATCH_TOKEN:
            variable["value"] = _substitute(container, variable["value"])
        else:
            variable.pop("value", None)
            variable["valueFrom"] = {"fieldRef": {"fieldPath": TARGET_NAMESPACES}}
        plan.places.append(f"{label}, env {name}")
        plan.several = plan.several or name.endswith("S") or name == "WATCH_NAMESPACE"


def _arguments(plan: WatchPlan, container: dict[str, Any], label: str, wish: WatchNamespace | None) -> None:
    for key in ("command", "args"):
        texts = container.get(key)
        if not isinstance(texts, list):
            continue
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                continue
            flag, equals, _ = text.partition("=")
            token = wish is not None and wish.value is not None and WATCH_TOKEN in text
            wanted = (
                wish.argument == flag
                if wish is not None and wish.argument
                else wish is None and bool(_ARGUMENT.match(flag))
            )
            if token:
                texts[number] = _substitute(container, text)
            elif wanted and equals:
                texts[number] = f"{flag}=" + _reference(container)
            elif wanted and number + 1 < len(texts):
                texts[number + 1] = _reference(container)
            else:
                continue
            plan.places.append(f"{label}, {key}[{number}] {flag}")
            plan.several = plan.several or flag.endswith("s")


def _substitute(container: dict[str, Any], text: str) -> str:
    return text.replace(WATCH_TOKEN, _reference(container))


def _reference(container: dict[str, Any]) -> str:
    env = container.setdefault("env", [])
    if not any(variable.get("name") == _VARIABLE for variable in env):
        env.insert(0, {"name": _VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": TARGET_NAMESPACES}}})
    return f"$({_VARIABLE})"
