"""Texts in pods and files that name things which have another name under OLM: the install namespace, webhook Services.

The namespace in which an operator gets installed is not known when its bundle is built. In a pod the text becomes
`$(POD_NAMESPACE)`, which the kubelet expands; in a file nothing can stand for it, so the text is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["InstallNamespace", "containers", "expand_in_pod", "names", "pod_strings"]

_VARIABLE = "POD_NAMESPACE"
_SPARE_VARIABLE = "OLM_INSTALL_NAMESPACE"
_EDGE = r"[A-Za-z0-9_.-]"


@dataclass(frozen=True, slots=True)
class InstallNamespace:
    """The namespace of the rendering, and where it may be recognised.

    `distinct`: the name means nothing else in the rendering, so every word equal to it is the namespace. Otherwise only
    DNS names below it, and values that are called a namespace, count.
    """

    name: str
    distinct: bool
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name = re.escape(self.name)
        word = rf"(?<![A-Za-z0-9_-]){name}(?![A-Za-z0-9_-])"
        narrow = (
            rf"(?<=\.){name}(?=\.svc\b)|(?i:(?<=namespace=)|(?<=namespaces=)|(?<=namespace: "
            rf")|(?<=namespace:)){name}(?![A-Za-z0-9_.-])"
        )
        object.__setattr__(self, "_pattern", re.compile(word if self.distinct else narrow))

    def replace(self, text: str, replacement: str) -> str:
        """Return the text with every mention of the namespace replaced."""
        return self._pattern.sub(lambda _: replacement, text) if self.name in text else text

    def replace_in_pod(self, text: str, replacement: str, where: str) -> str:
        """Return a text of a pod with every mention replaced; `where` may say that the whole of it is a namespace."""
        if not self.distinct and text == self.name and "namespace" in where.lower():
            return replacement
        return self.replace(text, replacement)

    def mentions(self, value: Any, path: str = "") -> Iterator[str]:
        """Yield the field path of every text in `value` that mentions the namespace."""
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from self.mentions(inner, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                yield from self.mentions(inner, f"{path}[{number}]")
        elif isinstance(value, str) and self.name in value:
            key = path.rsplit(".", 1)[-1].lower()
            called = value == self.name and "namespace" in key
            if called or self._pattern.search(value):
                yield path


def containers(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every container of a pod spec, init containers first."""
    yield from pod.get("initContainers") or ()
    yield from pod.get("containers") or ()


def pod_strings(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (where, text) for every command, argument and environment value of a pod spec."""
    for container in containers(pod):
        name = container.get("name", "?")
        for key in ("command", "args"):
            for number, text in enumerate(container.get(key) or ()):
                yield f"container {name}, {key}[{number}]", str(text)
        for variable in container.get("env") or ():
            if isinstance(variable.get("value"), str):
                yield f"container {name}, env {variable.get('name')}", variable["value"]


def names(text: str, name: str) -> bool:
    """Say whether a text holds `name` as a whole word, so not as a part of a longer name."""
    return name in text and re.search(rf"(?<!{_EDGE}){re.escape(name)}(?![A-Za-z0-9_-])", text) is not None


def expand_in_pod(pod: dict[str, Any], namespace: InstallNamespace, services: Mapping[str, str]) -> list[str]:
    """Change a pod spec in place so that nothing in it depends on the namespace of the rendering.

    Parameters
    ----------
    services
        Chart Service → OLM Service. DNS names of the former become DNS names of the latter, because the certificate
        that OLM makes holds only those.

    Returns
    -------
    list
        What was changed, for people.
    """
    changes: list[str] = []
    for container in containers(pod):
        variable = _variable(container)
        label = f"container {container.get('name', '?')}"
        holders: list[tuple[Any, Any, str]] = [
            (container[key], number, f"{label}, {key}")
            for key in ("command", "args")
            for number in range(len(container.get(key) or ()))
        ]
        holders += [(entry, "value", f"{label}, env {entry.get('name')}") for entry in container.get("env") or ()]
        used = False
        for holder, key, where in holders:
            text = holder.get(key) if isinstance(holder, dict) else holder[key]
            if not isinstance(text, str):
                continue
            new = _expanded(text, where, namespace, services, f"$({variable.name})")
            if new != text:
                holder[key] = new
                changes.append(f"{where}: {text!r} → {new!r}")
                used = used or new.count("$(") > text.count("$(")
        if used and not variable.present:
            reference = {"name": variable.name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
            container["env"] = [reference, *(container.get("env") or ())]
    return changes


def _expanded(text: str, where: str, namespace: InstallNamespace, services: Mapping[str, str], variable: str) -> str:
    for service, replacement in services.items():
        text = _dns_name(text, service, replacement)
    return namespace.replace_in_pod(text, variable, where)


@dataclass(frozen=True, slots=True)
class _Variable:
    name: str
    present: bool


def _variable(container: Mapping[str, Any]) -> _Variable:
    """Return the variable that holds the pod's namespace.

    It counts only in first place: values expand what comes before.
    """
    env = container.get("env") or []
    for number, variable in enumerate(env):
        path = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
        if path == "metadata.namespace" and not any(isinstance(earlier.get("value"), str) for earlier in env[:number]):
            return _Variable(variable["name"], True)
    taken = {variable.get("name") for variable in env}
    return _Variable(_SPARE_VARIABLE if _VARIABLE in taken else _VARIABLE, False)


def _dns_name(text: str, service: str, replacement: str) -> str:
    if service not in text:
        return text
    below = r"\.(?:\$\([A-Za-z_]\w*\)|[a-z0-9-]+)"
    qualified = rf"(?<!{_EDGE}){re.escape(service)}(?={below}(?:\.svc\b|$|[^A-Za-z0-9_.-]))"
    return re.sub(qualified, replacement, text)
