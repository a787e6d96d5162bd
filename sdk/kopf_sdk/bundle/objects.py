"""Kubernetes objects as the rendering gives them.

Parsed, in order, each with its text and the template it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError

__all__ = ["Object", "Ref", "by_kind", "labels_match", "parse_stream", "pod_spec", "selects"]

_SEPARATOR = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)
_SOURCE = re.compile(r"^# Source: (?P<path>\S.*)$", re.MULTILINE)
_CONTENT = re.compile(r"^(?!\s*(?:#.*)?$)", re.MULTILINE)

# Kinds whose objects have no namespace. A custom resource's scope is in its CRD; see `Object.namespaced`.
_CLUSTER_KINDS = frozenset(
    {
        "APIService",
        "CSIDriver",
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConsoleCLIDownload",
        "ConsoleLink",
        "ConsolePlugin",
        "ConsoleQuickStart",
        "ConsoleYAMLSample",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "SecurityContextConstraints",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)


@dataclass(frozen=True, order=True, slots=True)
class Ref:
    """What identifies an object in messages and in bundle.yaml."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Object:
    """One rendered object.

    `data` is shared, never changed in place; `text` is its document, for CRDs passed through.
    """

    data: Mapping[str, Any]
    source: str = ""
    text: str = ""
    index: int = 0
    hooks: tuple[str, ...] = field(default=())

    @property
    def api_version(self) -> str:
        return str(self.data.get("apiVersion", ""))

    @property
    def group(self) -> str:
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", ""))

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.data.get("metadata") or {}

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        return "" if self.kind in _CLUSTER_KINDS else str(self.metadata.get("namespace") or "")

    @property
    def namespaced(self) -> bool:
        return self.kind not in _CLUSTER_KINDS

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.metadata.get("annotations") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        spec = self.data.get("spec")
        return spec if isinstance(spec, Mapping) else {}

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.name, self.namespace)

    def with_data(self, data: Mapping[str, Any]) -> Object:
        """Return the same object with other content; its text no longer holds."""
        return replace(self, data=data, text="")


def parse_stream(text: str, *, source: str = "the rendering") -> list[Object]:
    """Return every object in a YAML stream, in order, `List` objects taken apart, empty documents left away.

    Raises
    ------
    SdkError
        A document is not YAML, not an object, or has no kind, apiVersion or name.
    """
    objects: list[Object] = []
    template = ""
    number = 0
    for document, line in _documents(text):
        # Helm writes the source before a file; where the file starts with a separator, into a document of its own.
        found = _SOURCE.search(document)
        template = found["path"] if found else template
        if not _CONTENT.search(document):
            continue
        number += 1
        where = f"{source}, document {number} (line {line}{', ' + template if template else ''})"
        for data in yaml.load_all(document, source=where):
            for item in _flatten(data, where):
                hooks = _hooks(item)
                whole = item is data
                objects.append(Object(item, template, document if whole else "", len(objects), hooks))
    return objects


def _documents(text: str) -> Iterator[tuple[str, int]]:
    """Cut at `---` lines. A block scalar cannot hold one at column 0, so this is what a YAML parser sees as well."""
    start, line = 0, 1
    for match in [*_SEPARATOR.finditer(text), None]:
        document = text[start : match.start() if match else len(text)]
        below = document.startswith("\n")
        yield document[below:], line + below
        if match:
            line += text.count("\n", start, match.end())
            start = match.end()


def _flatten(data: Any, where: str) -> Iterator[Mapping[str, Any]]:
    if data is None:
        return
    if not isinstance(data, Mapping):
        raise SdkError(
            f"{where}: a Kubernetes object is a mapping, this is a {type(data).__name__}",
            hint="Look at the template's output: `helm template` prints it.",
        )
    kind = data.get("kind")
    named = (data.get("metadata") or {}).get("name")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list) and not named:
        for item in data["items"]:
            yield from _flatten(item, where)
        return
    for key, value in (("kind", kind), ("apiVersion", data.get("apiVersion"))):
        if not isinstance(value, str) or not value:
            raise SdkError(f"{where}: the object has no {key}", hint="Every rendered object needs apiVersion and kind.")
    metadata = data.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        raise SdkError(
            f"{where}: {kind} without metadata.name", hint="OLM needs fixed names; generateName cannot be bundled."
        )
    yield data


def _hooks(data: Mapping[str, Any]) -> tuple[str, ...]:
    annotation = (data["metadata"].get("annotations") or {}).get("helm.sh/hook", "")
    return tuple(event.strip() for event in str(annotation).split(",") if event.strip())


def pod_spec(obj: Object) -> Mapping[str, Any]:
    """Return the pod spec of a workload (Pod, Deployment, DaemonSet, Job, CronJob...), empty for others."""
    spec: Any = obj.spec
    if obj.kind == "Pod":
        return obj.spec
    if obj.kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = spec.get("template") if isinstance(spec, Mapping) else None
    found = template.get("spec") if isinstance(template, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Say whether a Service's selector (plain labels) picks a pod. An empty one picks none."""
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def labels_match(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a `LabelSelector` (matchLabels and matchExpressions) picks these labels. An empty one picks all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or ():
        key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or ()
        holds = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }.get(operator, False)
        if not holds:
            return False
    return True


def by_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """Return the objects of these kinds, in order."""
    return [obj for obj in objects if obj.kind in kinds]
