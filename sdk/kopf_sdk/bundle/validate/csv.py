"""The ClusterServiceVersion: operator-framework/api `csv.go`, `annotations.go`, `typecheck.go`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.names import dns1123_subdomain, label_value
from kopf_sdk.bundle.semver import Version
from kopf_sdk.bundle.validate.wording import csv_error, failed, field_missing, reporter

__all__ = ["MIN_KUBE_VERSION_WARNING", "RULES", "csv_path"]

_found = reporter("default")
MIN_KUBE_VERSION_WARNING = (
    "csv.Spec.minKubeVersion is not informed. It is recommended you provide this information. Otherwise, it would mean "
    "that your operator project can be distributed and installed in any cluster version available, which is not "
    "necessarily the case for all projects."
)
_CASE_SENSITIVE = (
    "olm.operatorGroup",
    "olm.operatorNamespace",
    "olm.targetNamespaces",
    "olm.providedAPIs",
    "olm.skipRange",
)


def csv_path(bundle: Bundle, field: str) -> str:
    """Return file and field of something in the CSV."""
    manifest = bundle.csv_manifest
    return f"{manifest.path if manifest else 'manifests/'}: {field}"


def _names(bundle: Bundle) -> Iterator[Finding]:
    for field, name in (("metadata.name", bundle.name), ("spec.replaces", bundle.spec.get("replaces") or "")):
        problems = [*dns1123_subdomain(name), *label_value(name)]
        if problems and (name or field == "metadata.name"):
            detail = f'{field} "{name}" is invalid: {",".join(problems)}'
            yield _found(
                Level.ERROR,
                "csv/name",
                csv_path(bundle, field),
                f"{name!r} is no name of a CSV: a DNS name of at most 63 characters",
                "Use <package>.v<version>.",
                upstream=csv_error(Level.ERROR, bundle.name, detail),
            )


def _examples(bundle: Bundle) -> Iterator[Finding]:
    annotations = bundle.csv_annotations
    where = csv_path(bundle, "metadata.annotations[alm-examples]")
    if not annotations or ("alm-examples" not in annotations and "olm.examples" not in annotations):
        detail = "example annotations not found" if annotations else "annotations not found"
        yield _found(
            Level.WARNING,
            "csv/examples",
            where,
            "there are no examples of the operator's resources",
            "Name sample files in bundle.yaml: samples: [...]",
            upstream=csv_error(Level.WARNING, bundle.name, detail),
        )
        return
    if "alm-examples" in annotations and "olm.examples" in annotations:
        detail = "both `alm-examples` and `olm.examples` are present. Checking only `alm-examples`"
        yield _found(
            Level.WARNING, "csv/examples", where, detail, upstream=csv_error(Level.WARNING, bundle.name, detail)
        )
    text = annotations.get("alm-examples", annotations.get("olm.examples", ""))
    try:
        examples = json.loads(text) if text else []
    except ValueError as error:
        yield _found(Level.ERROR, "csv/examples", where, f"not JSON: {error}", upstream="Error: Value invalid example")
        return
    if not isinstance(examples, list) or not all(isinstance(item, dict) for item in examples):
        yield _found(
            Level.ERROR,
            "csv/examples",
            where,
            "a JSON array of objects is expected",
            upstream="Error: Value error decoding example",
        )
        return
    given = {_gvk_of(example) for example in examples}
    provided = {_gvk(*_split(owned), owned.get("version"), owned.get("kind")) for owned in bundle.owned}
    for api in (bundle.spec.get("apiservicedefinitions") or {}).get("owned") or ():
        provided.add(_gvk(api.get("group"), api.get("version"), api.get("kind")))
    for gvk in sorted(given - provided):
        yield _found(
            Level.ERROR,
            "csv/example-foreign",
            where,
            f"the example {gvk} is of no API that the operator owns",
            "Take it out, or make the CRD part of the bundle.",
            upstream=failed(Level.ERROR, gvk, "example must have a provided API"),
        )
    for gvk in sorted(provided - given):
        yield _found(
            Level.WARNING,
            "csv/example-missing",
            where,
            f"there is no example of {gvk}",
            "Name a sample file in bundle.yaml: samples: [...]",
            upstream=failed(Level.WARNING, gvk, "provided API should have an example annotation"),
        )


def _gvk_of(example: dict[str, Any]) -> str:
    group, _, version = str(example.get("apiVersion", "")).rpartition("/")
    return _gvk(group, version, example.get("kind"))


def _split(owned: Any) -> tuple[str]:
    return (str(owned.get("name", "")).partition(".")[2],)


def _gvk(group: Any, version: Any, kind: Any) -> str:
    return f"{group}/{version}, Kind={kind}"


def _install_modes(bundle: Bundle) -> Iterator[Finding]:
    modes = bundle.spec.get("installModes") or []
    where = csv_path(bundle, "spec.installModes")
    if not modes:
        yield _found(
            Level.ERROR,
            "csv/install-modes",
            where,
            "there are none",
            upstream=csv_error(Level.ERROR, bundle.name, "install modes not found"),
        )
        return
    kinds = [mode.get("type") for mode in modes]
    if len(set(kinds)) != len(kinds):
        detail = "duplicate install modes present"
        yield _found(
            Level.ERROR,
            "csv/install-modes",
            where,
            "a mode is listed twice",
            upstream=csv_error(Level.ERROR, bundle.name, detail),
        )
    wrong = any(mode.get("supported") is not (mode.get("type") == "AllNamespaces") for mode in modes)
    for webhook in bundle.webhooks:
        if webhook.get("conversionCRDs") and wrong:
            yield _found(
                Level.ERROR,
                "csv/conversion-modes",
                where,
                f"with the conversion webhook {webhook.get('generateName')} only AllNamespaces may be supported",
                "Set installModes: [AllNamespaces].",
                upstream=csv_error(
                    Level.ERROR,
                    bundle.name,
                    "only AllNamespaces InstallModeType is supported when conversionCRDs is present",
                ),
            )
    if not any(mode.get("supported") for mode in modes):
        detail = "none of InstallModeTypes are supported"
        yield _found(
            Level.ERROR,
            "csv/install-modes",
            where,
            "none is supported",
            upstream=csv_error(Level.ERROR, bundle.name, detail),
        )


def _min_kube_version(bundle: Bundle) -> Iterator[Finding]:
    text = str(bundle.spec.get("minKubeVersion") or "")
    where = csv_path(bundle, "spec.minKubeVersion")
    if not text.strip():
        yield _found(
            Level.WARNING,
            "csv/min-kube-version",
            where,
            "is not set, so the operator claims to run on every version of Kubernetes",
            "Set kubeVersion in Chart.yaml, or minKubeVersion in bundle.yaml.",
            upstream=csv_error(Level.WARNING, bundle.name, MIN_KUBE_VERSION_WARNING),
        )
        return
    try:
        Version.parse(text)
    except ValueError as error:
        detail = f"csv.Spec.MinKubeVersion has an invalid value: {text}"
        yield _found(
            Level.ERROR, "csv/min-kube-version", where, str(error), upstream=csv_error(Level.ERROR, bundle.name, detail)
        )


def _fields(bundle: Bundle) -> Iterator[Finding]:
    spec, install = bundle.spec, bundle.spec.get("install") or {}
    required = (
        ("Spec", "struct", "spec", spec),
        ("Spec.InstallStrategy", "struct", "spec.install", install),
        ("Spec.InstallStrategy.StrategyName", "field", "spec.install.strategy", install.get("strategy")),
        ("Spec.DisplayName", "field", "spec.displayName", spec.get("displayName")),
    )
    for name, kind, path, value in required:
        parent_missing = name.startswith("Spec.InstallStrategy.") and not install
        if not value and not parent_missing:
            yield _found(
                Level.ERROR,
                "csv/required",
                csv_path(bundle, path),
                "is required, and missing",
                upstream=field_missing(name, kind),
            )
    if install.get("spec") and "deployments" not in install["spec"]:
        name = "Spec.InstallStrategy.StrategySpec.DeploymentSpecs"
        yield _found(
            Level.ERROR,
            "csv/required",
            csv_path(bundle, "spec.install.spec.deployments"),
            "is required, and missing",
            upstream=field_missing(name, "field"),
        )


def _annotation_names(bundle: Bundle) -> Iterator[Finding]:
    known = {name.lower(): name for name in _CASE_SENSITIVE}
    for key in bundle.csv_annotations:
        right = known.get(key.lower())
        where = csv_path(bundle, f"metadata.annotations[{key}]")
        if right is not None and key != right:
            detail = f"provided annotation {key} uses wrong case and should be {right} instead"
            yield _found(
                Level.ERROR,
                "csv/annotation-case",
                where,
                f"must be written {right}",
                upstream=failed(Level.ERROR, bundle.name, detail),
            )
        if key == "olm.properties":
            detail = (
                "found olm.properties annotation, please define these properties in metadata/properties.yaml instead"
            )
            yield _found(
                Level.WARNING,
                "csv/annotation-properties",
                where,
                "belongs into metadata/properties.yaml",
                "Use properties in bundle.yaml.",
                upstream=f"Warning: Value : {detail}",
            )


def _type_meta(bundle: Bundle) -> Iterator[Finding]:
    if not bundle.csv.get("apiVersion"):
        yield _found(
            Level.ERROR,
            "csv/api-version",
            csv_path(bundle, "apiVersion"),
            "is missing",
            upstream=csv_error(Level.ERROR, bundle.name, "'apiVersion' is missing"),
        )


RULES = (_names, _examples, _install_modes, _min_kube_version, _fields, _annotation_names, _type_meta)
