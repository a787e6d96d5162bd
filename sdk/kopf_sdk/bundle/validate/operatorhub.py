"""Metadata for OperatorHub: operator-framework/api `operatorhubv2.go`, `standardcapabilities.go` and kin."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.metadata import CAPABILITIES, CATEGORIES
from kopf_sdk.bundle.semver import Version
from kopf_sdk.bundle.validate.csv import MIN_KUBE_VERSION_WARNING, csv_path
from kopf_sdk.bundle.validate.wording import csv_error, reporter

__all__ = ["RULES", "valid_email", "valid_url"]

_found = reporter("operatorframework")
_ADDRESS = re.compile(r"^[^\s@<>]+@[^\s@<>]+$")
_MEDIA_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/svg+xml"})


def valid_email(address: str) -> bool:
    """Say whether an address has the form name@domain, alone or as `Name <name@domain>`."""
    plain = address.rpartition("<")[2].rstrip("> ") if address.rstrip().endswith(">") else address.strip()
    return _ADDRESS.match(plain) is not None


def valid_url(url: str) -> bool:
    """Say whether a link is an absolute URL or an absolute path, as Go's ParseRequestURI does."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme) or url.startswith("/")


def _error(bundle: Bundle, rule: str, field: str, message: str, detail: str, *, hint: str = "") -> Finding:
    return _found(
        Level.ERROR, rule, csv_path(bundle, field), message, hint, csv_error(Level.ERROR, bundle.name, detail)
    )


def _provider(bundle: Bundle) -> Iterator[Finding]:
    if not str((bundle.spec.get("provider") or {}).get("name") or "").strip():
        yield _error(
            bundle,
            "hub/provider",
            "spec.provider.name",
            "is missing",
            "csv.Spec.Provider.Name not specified",
            hint="Set provider in bundle.yaml.",
        )


def _maintainers(bundle: Bundle) -> Iterator[Finding]:
    for number, maintainer in enumerate(bundle.spec.get("maintainers") or ()):
        name, email = maintainer.get("name") or "", maintainer.get("email") or ""
        field = f"spec.maintainers[{number}]"
        if not name or not email:
            detail = "csv.Spec.Maintainers elements should contain both name and email"
            yield _error(bundle, "hub/maintainer", field, "name and email are both needed", detail)
        if email and not valid_email(email):
            detail = f"csv.Spec.Maintainers email {email} is invalid"
            yield _error(bundle, "hub/maintainer-email", f"{field}.email", f"{email!r} is no e-mail address", detail)


def _links(bundle: Bundle) -> Iterator[Finding]:
    for number, link in enumerate(bundle.spec.get("links") or ()):
        field = f"spec.links[{number}]"
        if not link.get("name") or not link.get("url"):
            detail = "csv.Spec.Links elements should contain both name and url"
            yield _error(bundle, "hub/link", field, "name and url are both needed", detail)
        if link.get("url") and not valid_url(str(link["url"])):
            detail = f"csv.Spec.Links url {link['url']} is invalid"
            yield _error(bundle, "hub/link-url", f"{field}.url", f"{link['url']!r} is no absolute URL", detail)


def _version(bundle: Bundle) -> Iterator[Finding]:
    text = str(bundle.spec.get("version") or "")
    try:
        unset = not text or Version.parse(text) == Version(0, 0, 0)
    except ValueError:
        unset = True
    if unset:
        yield _error(
            bundle,
            "hub/version",
            "spec.version",
            "must be a semantic version above 0.0.0",
            "csv.Spec.Version must be set",
        )


def _icon(bundle: Bundle) -> Iterator[Finding]:
    icons = bundle.spec.get("icon")
    field = "spec.icon"
    if not icons:
        yield _found(
            Level.WARNING,
            "hub/icon",
            csv_path(bundle, field),
            "there is no icon",
            "Name a file in bundle.yaml: icon: logo.svg",
            csv_error(Level.WARNING, bundle.name, "csv.Spec.Icon not specified"),
        )
        return
    if len(icons) != 1:
        yield _error(
            bundle, "hub/icon", field, "only one icon is allowed", "csv.Spec.Icon should only have one element"
        )
    media_type, data = icons[0].get("mediatype") or "", icons[0].get("base64data") or ""
    if not media_type or not data:
        detail = "csv.Spec.Icon elements should contain both data and mediatype"
        yield _error(bundle, "hub/icon", f"{field}[0]", "base64data and mediatype are both needed", detail)
    if media_type and media_type not in _MEDIA_TYPES:
        detail = f"csv.Spec.Icon {media_type} does not have a valid mediatype"
        yield _error(
            bundle,
            "hub/icon",
            f"{field}[0].mediatype",
            f"{media_type} is none of {', '.join(sorted(_MEDIA_TYPES))}",
            detail,
        )


def _min_kube_version(bundle: Bundle) -> Iterator[Finding]:
    text = str(bundle.spec.get("minKubeVersion") or "")
    if not text.strip():
        upstream = csv_error(Level.WARNING, bundle.name, MIN_KUBE_VERSION_WARNING)
        yield _found(
            Level.WARNING, "hub/min-kube-version", csv_path(bundle, "spec.minKubeVersion"), "is not set", "", upstream
        )
        return
    try:
        Version.parse(text)
    except ValueError as error:
        detail = f"csv.Spec.MinKubeVersion has an invalid value: {text}"
        yield _error(bundle, "hub/min-kube-version", "spec.minKubeVersion", str(error), detail)


def _capabilities(bundle: Bundle) -> Iterator[Finding]:
    level = bundle.csv_annotations.get("capabilities")
    if level is not None and level not in CAPABILITIES:
        detail = f'csv.Metadata.Annotations.Capabilities "{level}" is not a valid capabilities level'
        message = f"{level!r} is none of {', '.join(CAPABILITIES)}"
        yield _error(bundle, "hub/capabilities", "metadata.annotations.capabilities", message, detail)


def _categories(bundle: Bundle) -> Iterator[Finding]:
    text = bundle.csv_annotations.get("categories")
    if text is None:
        return
    custom = os.environ.get("OPERATOR_BUNDLE_CATEGORIES", "")
    known = set(json.loads(Path(custom).read_text(encoding="utf-8"))["categories"]) if custom else set(CATEGORIES)
    for category in text.split(","):
        if category.strip() not in known:
            kind = "custom" if custom else "standard"
            detail = f'csv.Metadata.Annotations["categories"] value "{category}" is not in the set of {kind} categories'
            message = f"{category.strip()!r} is none of {', '.join(sorted(known))}"
            yield _error(bundle, "hub/categories", "metadata.annotations.categories", message, detail)


RULES = (_provider, _maintainers, _links, _version, _icon, _min_kube_version, _capabilities, _categories)
