"""Scorecard tests that need no cluster: operator-sdk `internal/scorecard/tests/{basic,olm}.go`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.crds import read_crd
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import reporter

__all__ = ["RULES"]

_found = reporter("scorecard")


def _examples(bundle: Bundle) -> list[Mapping[str, Any]]:
    try:
        examples = json.loads(bundle.csv_annotations.get("alm-examples") or "[]")
    except ValueError:
        return []
    return [example for example in examples if isinstance(example, dict)] if isinstance(examples, list) else []


def _have_validation(bundle: Bundle) -> Iterator[Finding]:
    schemas = {
        (crd.kind, version.name): version for m in bundle.crds for crd in [read_crd(m.data)] for version in crd.versions
    }
    for number, example in enumerate(_examples(bundle)):
        version = schemas.get((str(example.get("kind")), str(example.get("apiVersion", "")).rpartition("/")[2]))
        if version is None or not version.schema:
            continue
        for section in ("spec", "status"):
            known = version.section(section).get("properties") or {}
            for key in example.get(section) or ():
                if key not in known:
                    where = csv_path(bundle, f"metadata.annotations[alm-examples][{number}].{section}.{key}")
                    message = f"the CRD's schema has no such field ({example.get('kind')})"
                    yield _found(
                        Level.ERROR, "scorecard/olm-crds-have-validation", where, message, "Correct the sample."
                    )


def _have_resources(bundle: Bundle) -> Iterator[Finding]:
    for number, owned in enumerate(bundle.owned):
        if not owned.get("resources"):
            where = csv_path(bundle, f"spec.customresourcedefinitions.owned[{number}].resources")
            hint = "Set crds.<name>.resources in bundle.yaml."
            yield _found(
                Level.WARNING,
                "scorecard/olm-crds-have-resources",
                where,
                f"{owned.get('name')} lists no resources",
                hint,
            )


def _descriptors(bundle: Bundle) -> Iterator[Finding]:
    owned = {(str(entry.get("kind")), str(entry.get("version"))): entry for entry in reversed(bundle.owned)}
    for number, example in enumerate(_examples(bundle)):
        entry = owned.get((str(example.get("kind")), str(example.get("apiVersion", "")).rpartition("/")[2]))
        where = csv_path(bundle, f"metadata.annotations[alm-examples][{number}]")
        if entry is None:
            message = f"{example.get('kind')} is of no owned CRD"
            yield _found(Level.WARNING, "scorecard/olm-spec-descriptors", where, message)
            continue
        if not example.get("spec"):
            yield _found(Level.WARNING, "scorecard/olm-spec-descriptors", f"{where}.spec", "the example has no spec")
        described = {descriptor.get("path") for descriptor in entry.get("specDescriptors") or ()}
        for key in sorted(set(example.get("spec") or ()) - described):
            message = f"{entry.get('name')}: spec.{key} has no descriptor"
            yield _found(
                Level.WARNING,
                "scorecard/olm-spec-descriptors",
                f"{where}.spec.{key}",
                message,
                "Describe the field in the CRD's schema.",
            )
        if example.get("status") and not entry.get("statusDescriptors"):
            message = f"{entry.get('name')}: the example has a status, the CSV no statusDescriptors"
            yield _found(Level.WARNING, "scorecard/olm-status-descriptors", f"{where}.status", message)


RULES = (_have_validation, _have_resources, _descriptors)
