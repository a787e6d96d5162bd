"""What Kubernetes has to know of a kind beside its schema (apiextensions.k8s.io/v1 CustomResourceDefinition)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kopf_sdk.api.rules import Rule

__all__ = ["ColumnType", "Definition", "PrinterColumn", "Scale", "Scope"]

ColumnType = Literal["string", "integer", "number", "boolean", "date"]
Scope = Literal["Namespaced", "Cluster"]


@dataclass(frozen=True, kw_only=True)
class PrinterColumn:
    """A column of `kubectl get`. `path` is a JSONPath below the resource, like `.status.readyReplicas`."""

    name: str
    path: str
    type: ColumnType = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    """0 is always shown, anything above only with `-o wide`."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The scale subresource: what `kubectl scale` and autoscalers read and write."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """Names, scope, subresources and rules of one version of a kind."""

    group: str
    version: str
    kind: str
    plural: str = ""
    singular: str = ""
    list_kind: str = ""
    short_names: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    scope: Scope = "Namespaced"
    status: bool = True
    """Whether `status` is a subresource, which only the operator writes."""
    scale: Scale | None = None
    printer_columns: list[PrinterColumn] = field(default_factory=list)
    selectable_fields: list[str] = field(default_factory=list)
    """JSONPaths of text, number or boolean fields that `kubectl get --field-selector` may filter by."""
    rules: list[Rule] = field(default_factory=list)
    served: bool = True
    storage: bool = True
    """Whether etcd holds this version; exactly one version of a kind does."""
    deprecated: bool = False
    deprecation_warning: str = ""
    """What clients of a deprecated version are told instead of Kubernetes' own sentence."""
    conversion: Literal["None", "Webhook"] = "None"
    """How the API server converts between versions; one answer for all versions of a kind."""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    """Labels and annotations of the CustomResourceDefinition itself."""

    def __post_init__(self) -> None:
        if not self.plural:
            object.__setattr__(self, "plural", _plural(self.kind.lower()))
        if not self.singular:
            object.__setattr__(self, "singular", self.kind.lower())
        if not self.list_kind:
            object.__setattr__(self, "list_kind", f"{self.kind}List")

    @property
    def api_version(self) -> str:
        """The `apiVersion` of manifests, like `cache.example.com/v1alpha1`."""
        return f"{self.group}/{self.version}"

    @property
    def name(self) -> str:
        """The name of the CustomResourceDefinition, like `memcacheds.cache.example.com`."""
        return f"{self.plural}.{self.group}"


def _plural(word: str) -> str:
    """Form the plural as Kubernetes' own tools do (gengo's plural namer): policy → policies, class → classes."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"
