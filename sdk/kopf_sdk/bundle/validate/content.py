"""The bundle as a whole: operator-framework/api `pkg/validation/internal/bundle.go`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kopf_sdk.bundle.bundle_dir import SIZE_LIMIT, SIZE_WARNING, Bundle, Manifest
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import bundle_error, reporter

__all__ = ["RULES"]

_found = reporter("default")


def _keys(manifest: Manifest) -> list[str]:
    spec = manifest.data.get("spec") or {}
    kind = (spec.get("names") or {}).get("kind")
    versions = [version.get("name") for version in spec.get("versions") or ()] or [spec.get("version")]
    return [f"{spec.get('group')}/{version}, Kind={kind}" for version in versions]


def _owned_crds(bundle: Bundle) -> Iterator[Finding]:
    present = Counter(key for crd in bundle.crds for key in _keys(crd))
    paths = {key: crd.path for crd in bundle.crds for key in _keys(crd)}
    for key, count in present.items():
        for _ in range(count - 1):
            detail = f'duplicate CRD "{key}" in bundle "{bundle.name}"'
            yield _found(
                Level.ERROR,
                "bundle/crd-duplicate",
                paths[key],
                f"{key} is in the bundle {count} times",
                upstream=bundle_error(Level.ERROR, key, detail),
            )
    owned_kinds = set()
    for number, owned in enumerate(bundle.owned):
        group = str(owned.get("name", "")).partition(".")[2] or str(owned.get("name", ""))
        key = f"{group}/{owned.get('version')}, Kind={owned.get('kind')}"
        if key in present:
            owned_kinds.add((group, owned.get("kind")))
        else:
            detail = f'owned CRD "{key}" not found in bundle "{bundle.name}"'
            yield _found(
                Level.ERROR,
                "bundle/crd-missing",
                csv_path(bundle, f"spec.customresourcedefinitions.owned[{number}]"),
                f"the bundle holds no CRD {key}",
                "Put the CRD into manifests/, or list it under required.",
                upstream=bundle_error(Level.ERROR, key, detail),
            )
    for crd in bundle.crds:
        spec = crd.data.get("spec") or {}
        if (spec.get("group"), (spec.get("names") or {}).get("kind")) not in owned_kinds:
            for key in _keys(crd):
                detail = f'CRD "{key}" is present in bundle "{bundle.name}" but not defined in CSV'
                yield _found(
                    Level.ERROR,
                    "bundle/crd-not-owned",
                    crd.path,
                    f"the CSV does not own {key}",
                    "List it under spec.customresourcedefinitions.owned.",
                    upstream=bundle_error(Level.ERROR, key, detail),
                )


def _service_accounts(bundle: Bundle) -> Iterator[Finding]:
    used = {
        ((d.get("spec") or {}).get("template") or {}).get("spec", {}).get("serviceAccountName", "")
        for d in bundle.deployments
    }
    for manifest in bundle.manifests:
        if manifest.kind == "ServiceAccount" and manifest.api_version == "v1" and manifest.name in used:
            detail = (
                f"invalid service account found in bundle. This service account {manifest.name} in your bundle "
                f"is not valid, "
                "because a service account with the same name was already specified in your CSV. If this was "
                "unintentional, "
                "please remove the service account manifest from your bundle. If it was intentional to specify a "
                "separate "
                "service account, please rename the SA in either the bundle manifest or the CSV."
            )
            yield _found(
                Level.ERROR,
                "bundle/service-account",
                manifest.path,
                f"ServiceAccount {manifest.name} is made by OLM for a deployment of the CSV already",
                "Take the file out.",
                upstream=bundle_error(Level.ERROR, manifest.name, detail),
            )


def _size(bundle: Bundle) -> Iterator[Finding]:
    plain, packed = bundle.size()
    numbers = (
        f"{packed / 1000:.0f} kB gzipped and encoded, {plain / 1000:.0f} kB plain; OLM's limit is "
        f"{SIZE_LIMIT / 1000:.0f} kB"
    )
    hint = "Let bundle.yaml shorten descriptions: size: {trimDescriptions: always}."
    if packed > SIZE_LIMIT:
        upstream = bundle_error(Level.ERROR, bundle.name, "maximum bundle compressed size with gzip size exceeded")
        yield _found(Level.ERROR, "bundle/size", "manifests/", f"too large: {numbers}", hint, upstream)
    elif packed > SIZE_WARNING:
        upstream = bundle_error(Level.WARNING, bundle.name, "nearing maximum bundle compressed size with gzip")
        yield _found(Level.WARNING, "bundle/size", "manifests/", f"near the limit: {numbers}", hint, upstream)


RULES = (_owned_crds, _service_accounts, _size)
