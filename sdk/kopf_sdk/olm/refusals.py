"""What OLM would not install, or not now, found before it is tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.bundle.semver import Version, in_range
from kopf_sdk.bundle.validate import validate
from kopf_sdk.errors import SdkError
from kopf_sdk.olm.status import OlmStatus

__all__ = ["check_bundle", "check_kube_version", "check_olm", "check_path", "check_targets"]

# What the scorecard and the pipelines of catalogs ask for is no matter of OLM.
_SUITES = {"default", "objects", "advice"}


def check_olm(found: OlmStatus) -> None:
    """Raise an SdkError unless OLM is there and works."""
    if found.state == "absent":
        raise SdkError("OLM is not on this cluster", hint="kopf-sdk olm install")
    if not found.healthy:
        raise SdkError(f"OLM on this cluster does not work: {found.trouble}", hint="kopf-sdk olm install repairs it")


def check_bundle(bundle: Bundle) -> None:
    """Raise an SdkError for a bundle that OLM refuses, with the first findings."""
    findings = [
        finding
        for finding in validate(bundle, PROFILES["olm-v0"])
        if finding.level is Level.ERROR and finding.suite in _SUITES
    ]
    if not bundle.name or not bundle.package:
        missing = "ClusterServiceVersion in manifests/" if not bundle.name else "package in metadata/annotations.yaml"
        raise SdkError(f"{bundle.directory}: no {missing}", hint=f"kopf-sdk bundle validate {bundle.directory}")
    if findings:
        shown = "; ".join(f"{finding.where}: {finding.message}" for finding in findings[:3])
        more = f" (and {len(findings) - 3} more)" if len(findings) > 3 else ""
        raise SdkError(
            f"{bundle.directory}: OLM would refuse this bundle: {shown}{more}",
            hint=f"kopf-sdk bundle validate {bundle.directory} shows all of it; --skip-validation tries it anyway",
        )


def check_kube_version(bundle: Bundle, server: str) -> None:
    """Raise an SdkError when the cluster is older than the bundle wants it (`server` as v1.34.4)."""
    minimum = str(bundle.spec.get("minKubeVersion") or "")
    if minimum and Version.tolerant(server) < Version.tolerant(minimum):
        raise SdkError(
            f"{bundle.name} needs Kubernetes {minimum} (spec.minKubeVersion), and this cluster is {server}",
            hint="use a newer cluster, or lower minKubeVersion in bundle.yaml if the operator does work on this one",
        )


def check_targets(targets: Sequence[str], namespace: str, there: Sequence[str]) -> None:
    """Raise an SdkError for a namespace to watch that is not there; that of the operator is made."""
    missing = [target for target in targets if target not in there and target != namespace]
    if missing:
        raise SdkError(
            f"namespace {missing[0]}, which the operator shall watch, does not exist",
            hint=f"kubectl create namespace {missing[0]}",
        )


def check_path(bundle: Bundle, installed: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise an SdkError unless the channel leads from the installed version to the bundle's.

    Parameters
    ----------
    entries
        Of the channel that the subscription follows, the bundle's own among them.
    """
    by_name = {str(entry["name"]): entry for entry in entries}
    name, seen = bundle.name, set[str]()
    while name in by_name and name not in seen:
        seen.add(name)
        entry = by_name[name]
        if installed == entry.get("replaces") or installed in (entry.get("skips") or ()):
            return
        if entry.get("skipRange") and (version := _version_in(installed)) and in_range(version, entry["skipRange"]):
            return
        name = str(entry.get("replaces") or "")
    own = by_name[bundle.name]
    edges = [f"replaces {own['replaces']}"] if own.get("replaces") else []
    edges += [f"skips {', '.join(own['skips'])}"] if own.get("skips") else []
    edges += [f"skipRange {own['skipRange']}"] if own.get("skipRange") else []
    raise SdkError(
        f"{bundle.name} ({'; '.join(edges) or 'replaces nothing'}) is no upgrade of {installed}, which is installed: "
        "OLM would never do it",
        hint=f"set `replaces: {installed}` or a skipRange that includes it in bundle.yaml and build the bundle again",
    )


def _version_in(name: str) -> Version | None:
    """The version in a name like memcached-operator.v0.1.0."""
    try:
        return Version.tolerant(name.partition(".")[2])
    except ValueError:
        return None
