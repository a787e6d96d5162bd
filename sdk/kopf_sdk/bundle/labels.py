"""Marks that Helm leaves on objects and that mean nothing, or the wrong thing, once OLM owns them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from kopf_sdk.bundle.objects import Object

__all__ = ["clean_metadata", "is_foreign_annotation", "is_helm_mark", "selected_labels", "strip_pod_template"]

_ANNOTATIONS = ("helm.sh/", "meta.helm.sh/")
# Another controller would act on these: they would fight with OLM over the CA bundle.
_INJECTORS = ("cert-manager.io/inject-", "certmanager.k8s.io/inject-", "service.beta.openshift.io/inject-cabundle")
_CHART_LABEL = re.compile(r"^.+-v?\d+\.\d+\.\d+")


def is_helm_mark(key: str, value: str, labels: Mapping[str, str]) -> bool:
    """Say whether a label is Helm's: `helm.sh/*`, `managed-by: Helm`, and the older `heritage`, `chart`."""
    if key.startswith(_ANNOTATIONS):
        return True
    if key in {"app.kubernetes.io/managed-by", "heritage"}:
        return value in {"Helm", "Tiller"}
    return key == "chart" and "heritage" in labels and bool(_CHART_LABEL.match(value))


def is_foreign_annotation(key: str) -> bool:
    """Say whether an annotation is Helm's, or asks somebody else than OLM to inject a CA bundle."""
    return key.startswith((*_ANNOTATIONS, *_INJECTORS))


def selected_labels(objects: Iterable[Object]) -> frozenset[tuple[str, str]]:
    """Return every label that some selector in the rendering names: these must stay on pods."""
    found: set[tuple[str, str]] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key in {"matchLabels", "selector"} and isinstance(inner, Mapping):
                    found.update((k, v) for k, v in inner.items() if isinstance(v, str))
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for obj in objects:
        if obj.kind != "CustomResourceDefinition":
            walk(obj.spec)
    return frozenset(found)


def clean_labels(labels: Mapping[str, str], keep: frozenset[tuple[str, str]]) -> dict[str, str]:
    """Return labels without Helm's marks, those in `keep` spared."""
    return {
        key: value for key, value in labels.items() if (key, value) in keep or not is_helm_mark(key, str(value), labels)
    }


def clean_metadata(metadata: Mapping[str, Any], keep: frozenset[tuple[str, str]] = frozenset()) -> dict[str, Any]:
    """Return an object's metadata as it may stand in a bundle.

    No Helm marks, no namespace, nothing a server fills in.
    """
    result: dict[str, Any] = {"name": metadata.get("name")}
    labels = clean_labels(metadata.get("labels") or {}, keep)
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if not is_foreign_annotation(key) and value is not None
    }
    if annotations:
        result["annotations"] = annotations
    if labels:
        result["labels"] = labels
    return result


def strip_pod_template(spec: Mapping[str, Any], keep: frozenset[tuple[str, str]]) -> dict[str, Any]:
    """Return a copy of a workload's spec whose pod template bears no Helm marks."""
    result = copy.deepcopy(dict(spec))
    metadata = (result.get("template") or {}).get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("creationTimestamp", None)
        if metadata.get("labels"):
            metadata["labels"] = clean_labels(metadata["labels"], keep)
        elif "labels" in metadata:
            del metadata["labels"]
        for key in [key for key in metadata.get("annotations") or {} if is_foreign_annotation(key)]:
            del metadata["annotations"][key]
        if not metadata.get("annotations", True):
            del metadata["annotations"]
    return result
