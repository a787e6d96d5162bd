"""What the pipelines of community-operators and OpenShift require: operator-pipelines `operatorcert/static_tests`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import get_args

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.config import CertifiedFeature
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.semver import Version
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import reporter

__all__ = ["OPENSHIFT_RULES", "RULES"]

_found = reporter("community")
_openshift = reporter("openshift")
_OCP_RANGE = re.compile(r"^(?:=?v?4\.\d{1,2}|v?4\.\d{1,2}-v?4\.\d{1,2})$")


def _required_fields(bundle: Bundle) -> Iterator[Finding]:
    spec = bundle.spec
    provider = str((spec.get("provider") or {}).get("name") or "")
    checks = (
        ("spec.displayName", 3 <= len(str(spec.get("displayName") or "")) <= 50, "3 to 50 characters are needed"),
        ("spec.description", len(str(spec.get("description") or "")) >= 20, "at least 20 characters are needed"),
        ("spec.icon", _valid_icon(bundle), "one icon with valid base64 data is needed"),
        ("spec.version", _is_version(str(spec.get("version") or "")), "a semantic version is needed"),
        ("spec.maintainers", bool(spec.get("maintainers")), "at least one maintainer is needed"),
        ("spec.provider.name", len(provider) >= 3, "at least 3 characters are needed"),
        ("spec.links", bool(spec.get("links")), "at least one link is needed"),
    )
    for field, good, message in checks:
        if not good:
            yield _found(
                Level.ERROR,
                "community/required",
                csv_path(bundle, field),
                message,
                "The community pipeline fails without it; set it in bundle.yaml.",
            )


def _valid_icon(bundle: Bundle) -> bool:
    icons = list(bundle.spec.get("icon") or ())
    try:
        return bool(icons) and bool(base64.b64decode(str(icons[0].get("base64data") or ""), validate=True))
    except (binascii.Error, ValueError):
        return False


def _is_version(text: str) -> bool:
    try:
        Version.parse(text)
    except ValueError:
        return False
    return True


def _listed_fields(bundle: Bundle) -> Iterator[Finding]:
    """The list of packaging-required-fields; the pipeline does not fail for these, reviewers ask."""
    for key in ("capabilities", "categories", "containerImage", "createdAt", "support", "repository"):
        if not bundle.csv_annotations.get(key):
            where = csv_path(bundle, f"metadata.annotations.{key}")
            yield _found(
                Level.WARNING,
                "community/listed",
                where,
                "is on the list of required fields, and missing",
                "Set it in bundle.yaml.",
            )
    for key in ("keywords", "maturity"):
        if not bundle.spec.get(key):
            yield _found(
                Level.WARNING,
                "community/listed",
                csv_path(bundle, f"spec.{key}"),
                "is on the list of required fields, and missing",
            )


def _network_policies(bundle: Bundle) -> Iterator[Finding]:
    for manifest in bundle.manifests:
        if manifest.kind == "NetworkPolicy":
            message = "the pipeline fails a bundle with a NetworkPolicy"
            yield _found(
                Level.ERROR,
                "community/network-policy",
                manifest.path,
                message,
                "Drop it, and say in the description what to allow.",
            )


def _operator_name(bundle: Bundle) -> Iterator[Finding]:
    name = bundle.name.rpartition(".v")[0]
    if bundle.package and name and name != bundle.package:
        message = f"the CSV is named for {name}, the package is {bundle.package}"
        yield _found(Level.WARNING, "community/name", csv_path(bundle, "metadata.name"), message)


def _pruned_graph(bundle: Bundle) -> Iterator[Finding]:
    if bundle.csv_annotations.get("olm.skipRange") and not bundle.spec.get("replaces"):
        message = "olm.skipRange without spec.replaces prunes the older versions from the channel"
        yield _found(
            Level.WARNING,
            "community/pruned-graph",
            csv_path(bundle, "metadata.annotations[olm.skipRange]"),
            message,
            "Set replaces as well.",
        )


def _openshift_versions(bundle: Bundle) -> Iterator[Finding]:
    key = "com.redhat.openshift.versions"
    where = f"metadata/annotations.yaml: annotations[{key}]"
    value = str(bundle.annotations.get(key) or "").strip()
    if not value:
        hint = 'Set bundleAnnotations: {com.redhat.openshift.versions: "v4.14"} in bundle.yaml.'
        yield _openshift(
            Level.WARNING,
            "openshift/versions",
            where,
            "does not say for which versions of OpenShift the bundle is",
            hint,
        )
    elif not all(_OCP_RANGE.match(part.strip()) for part in value.split(",")):
        yield _openshift(
            Level.ERROR,
            "openshift/versions",
            where,
            f"{value!r} is no version or range of OpenShift 4 (v4.14, =v4.14, v4.12-v4.16)",
        )


def _openshift_features(bundle: Bundle) -> Iterator[Finding]:
    prefix = "features.operators.openshift.io/"
    for name in get_args(CertifiedFeature):
        value = bundle.csv_annotations.get(prefix + name)
        where = csv_path(bundle, f"metadata.annotations[{prefix}{name}]")
        if value is None:
            yield _openshift(
                Level.WARNING,
                "openshift/features",
                where,
                "is missing; certification wants every feature said",
                "Set features in bundle.yaml.",
            )
        elif value not in {"true", "false"}:
            yield _openshift(Level.ERROR, "openshift/features", where, f"{value!r} is neither true nor false")


RULES = (_required_fields, _listed_fields, _network_policies, _operator_name, _pruned_graph)
OPENSHIFT_RULES = (_openshift_versions, _openshift_features)
