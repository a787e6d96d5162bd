"""What lies in the bundle as a file: CRDs, and the kinds that OLM takes as they are."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.bundle_dir import SIZE_WARNING, bundle_from_files
from kopf_sdk.bundle.convert.draft import Draft
from kopf_sdk.bundle.crds import crd_text, without_descriptions
from kopf_sdk.bundle.fate import Disposition, Level, remedies
from kopf_sdk.bundle.files import crd_file_name, object_text, refusal
from kopf_sdk.bundle.labels import clean_metadata
from kopf_sdk.bundle.lock import pin_text
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.serving import olm_service_name

__all__ = ["place_files", "report_namespace", "trim", "write_crds", "write_file"]

_MONITORS = frozenset({"ServiceMonitor", "PodMonitor", "PrometheusRule"})
# Labels, and what selects by them: both sides say the same, whatever it is.
_LABEL = re.compile(r"(?:^|\.)(?:labels|matchLabels|selector)\.")
_PRIVATE_KEY = "PRIVATE KEY-----"


def write_crds(draft: Draft) -> None:
    """Write every CRD into a file, with its conversion pointed to the Service that OLM makes."""
    by_crd = {crd: d["deploymentName"] for d in draft.parts.webhooks for crd in d.get("conversionCRDs") or ()}
    for obj, crd in draft.crds:
        path = crd_file_name(crd.group, crd.plural)
        service = olm_service_name(by_crd[crd.name]) if crd.name in by_crd else ""
        draft.result.files[path] = crd_text(obj, service)
        draft.fate(obj, Disposition.CSV, f"spec.customresourcedefinitions.owned, {path}")


def place_files(draft: Draft) -> None:
    """Give what is left a file, or say why OLM takes none of its kind."""
    for obj in draft.all():
        place = draft.rules.mapped(obj)
        problem = "" if place == "file" else refusal(obj, draft.profile)
        if obj.kind == "Namespace" and obj.name == draft.namespace.name and place != "file":
            _own_namespace(draft, obj)
        elif problem:
            targets = ("deployment",) if obj.kind in {"StatefulSet", "DaemonSet"} else ()
            draft.fate(obj, Disposition.NO_PLACE, "", problem, remedies(obj, *targets))
        elif obj.namespace not in {"", draft.namespace.name}:
            reason = f"OLM would put it into the install namespace instead of {obj.namespace}"
            draft.fate(obj, Disposition.NO_PLACE, "", reason, remedies(obj))
        else:
            write_file(draft, obj, "")


def _own_namespace(draft: Draft, obj: Object) -> None:
    template = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {**clean_metadata(obj.metadata), "name": draft.config.namespace or draft.metadata.package},
    }
    draft.config.annotations.setdefault(
        "operatorframework.io/suggested-namespace-template", json.dumps(template, sort_keys=True)
    )
    where = "annotation operatorframework.io/suggested-namespace-template"
    draft.fate(
        obj, Disposition.TRANSFORMED, where, "whoever installs the bundle makes the namespace, after this template"
    )


def write_file(
    draft: Draft,
    obj: Object,
    reason: str,
    *,
    original: Object | None = None,
    disposition: Disposition = Disposition.FILE,
    settled: bool = False,
) -> None:
    """Write an object as a file.

    Parameters
    ----------
    original
        What was rendered, where `obj` is a changed copy of it.
    settled
        The object has its fate already, and this is a part of it.
    """
    problem = refusal(obj, draft.profile) or _private(obj)
    if problem and not settled and draft.rules.mapped(obj) != "file":
        draft.fate(original or obj, Disposition.NO_PLACE, "", problem, remedies(obj))
        return
    if obj.kind in {"ServiceMonitor", "PodMonitor"}:
        obj = _own_namespace_only(draft, obj)
    path = draft.file_names.of(obj)
    draft.result.files[path] = object_text(obj, draft.keep_labels)
    if obj.kind == "ConfigMap":
        if draft.lock is not None:
            obj = obj.with_data(pin_text(obj.data, draft.lock))
            draft.result.files[path] = object_text(obj, draft.keep_labels)
        draft.config_maps[obj.name] = obj.data.get("data") or {}
    body = {key: value for key, value in obj.data.items() if key not in {"metadata", "apiVersion", "kind"}}
    report_namespace(draft, obj, body, "")
    if not settled:
        draft.fate(original or obj, disposition, path, reason)


def _private(obj: Object) -> str:
    """Return why a Secret must not lie in a bundle, "" when it may."""
    if obj.kind != "Secret":
        return ""
    texts = [str(value) for value in (obj.data.get("stringData") or {}).values()]
    for value in (obj.data.get("data") or {}).values():
        with contextlib.suppress(ValueError):
            texts.append(base64.b64decode(str(value)).decode("latin-1"))
    found = any(_PRIVATE_KEY in text for text in texts)
    return "it holds a private key, which everybody with the bundle would have" if found else ""


def _own_namespace_only(draft: Draft, obj: Object) -> Object:
    """A monitor that selects just the namespace it is in says nothing by naming it."""
    selector = obj.spec.get("namespaceSelector") or {}
    if selector.get("matchNames") == [draft.namespace.name]:
        spec = {key: value for key, value in obj.spec.items() if key != "namespaceSelector"}
        draft.notice(
            Level.INFO,
            "monitor-namespace",
            "namespaceSelector is left away: without it, its own namespace is meant",
            obj,
        )
        return obj.with_data({**obj.data, "spec": spec})
    return obj


def report_namespace(draft: Draft, obj: Object, body: Mapping[str, Any], prefix: str) -> None:
    mentions = list(draft.namespace.mentions(body, prefix))
    labels = [place for place in mentions if _LABEL.search(place) and "namespaceSelector" not in place]
    if labels:
        draft.notice(
            Level.WARNING,
            "namespace-label",
            f"labels hold the namespace that the chart was rendered for ({draft.namespace.name}), and keep it wherever "
            f"the operator is installed: {', '.join(labels[:5])}",
            obj,
            "Nothing to do unless somebody looks for that label; namespace in bundle.yaml chooses what it says.",
        )
    places = [place for place in mentions if place not in labels]
    if not places:
        return
    mild = obj.kind in _MONITORS or bool(draft.config.namespace)
    draft.notice(
        Level.WARNING if mild else Level.ERROR,
        "install-namespace",
        f"names the namespace that the chart was rendered for ({draft.namespace.name}), which is not known "
        f"before the installation: {', '.join(places[:5])}",
        obj,
        f"It works in namespace {draft.config.namespace} only."
        if draft.config.namespace
        else "Set values that do without, or choose the namespace in bundle.yaml: namespace: my-operator",
    )


def trim(draft: Draft) -> None:
    """Shorten the CRDs' descriptions, deepest first, until the bundle keeps a distance from OLM's limit."""
    policy = draft.config.size.trim_descriptions
    for depth in (2, 0, -1) if policy != "never" else ():
        files = {path: text.encode() for path, text in draft.result.files.items()}
        _, packed = bundle_from_files("", files).size()
        if packed <= SIZE_WARNING and policy != "always":
            return
        for obj, crd in draft.crds:
            path = crd_file_name(crd.group, crd.plural)
            data = yaml.load(draft.result.files[path])
            draft.result.files[path] = yaml.dump(without_descriptions(data, keep_depth=depth))
            draft.result.trimmed.add(crd.name)
            if depth == 2:
                message = f"descriptions below the second level are left away (size.trimDescriptions: {policy})"
                draft.notice(Level.INFO, "trimmed", message, obj)
        policy = "auto"
