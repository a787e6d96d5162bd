"""Good practices: operator-framework/api `good_practices.go`. Warnings, but for a CSV without deployments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.validate.csv import csv_path
from kopf_sdk.bundle.validate.wording import failed, reporter

__all__ = ["RULES"]

_found = reporter("operatorframework")
_VERSION_IN_NAME = re.compile(
    r"([0-9]+)\.([0-9]+)\.([0-9]+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+)?$"
)
_CRD_RIGHTS = (
    "CSV contains permissions to create CRD. An Operator shouldn't deploy or manage other operators (such patterns are "
    "known as meta or super operators or include CRDs in its Operands). It's the Operator Lifecycle Manager's job to "
    "manage the deployment and lifecycle of operators.  Please, review the design of your solution and if you "
    "should not "
    "be using Dependency Resolution from OLM instead. More info: "
    "https://sdk.operatorframework.io/docs/best-practices/common-recommendation/"
)


def _warn(bundle: Bundle, rule: str, where: str, message: str, detail: str, *, hint: str = "") -> Finding:
    return _found(Level.WARNING, rule, where, message, hint, failed(Level.WARNING, bundle.name, detail))


def _requests(bundle: Bundle) -> Iterator[Finding]:
    if not bundle.deployments:
        detail = "unable to find a deployment to install in the CSV"
        yield _found(
            Level.ERROR,
            "practice/deployment",
            csv_path(bundle, "spec.install.spec.deployments"),
            "the CSV installs nothing",
            "",
            failed(Level.ERROR, bundle.name, detail),
        )
    for number, deployment in enumerate(bundle.deployments):
        pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
        for index, container in enumerate(pod.get("containers") or ()):
            if (container.get("resources") or {}).get("requests") is not None:
                continue
            where = f"spec.install.spec.deployments[{number}].spec.template.spec.containers[{index}].resources.requests"
            detail = (
                f"unable to find the resource requests for the container: ({container.get('name')}). It is "
                f"recommended to "
                "ensure the resource request for CPU and Memory. Be aware that for some clusters configurations it is "
                "required to specify requests or limits for those values. Otherwise, the system or quota may "
                "reject Pod "
                "creation. More info: https://master.sdk.operatorframework.io/docs/best-practices/managing-resources/"
            )
            message = f"container {container.get('name')} requests neither CPU nor memory"
            yield _warn(
                bundle,
                "practice/requests",
                csv_path(bundle, where),
                message,
                detail,
                hint="Set resources in the chart's values.",
            )


def _descriptions(bundle: Bundle) -> Iterator[Finding]:
    definitions = bundle.spec.get("customresourcedefinitions") or {}
    for relation in ("owned", "required"):
        for number, crd in enumerate(definitions.get(relation) or ()):
            if not crd.get("description"):
                where = csv_path(bundle, f"spec.customresourcedefinitions.{relation}[{number}].description")
                detail = f'{relation} CRD "{crd.get("name")}" has an empty description'
                hint = "Give the CRD a description, or set crds.<name>.description in bundle.yaml."
                yield _warn(
                    bundle,
                    "practice/crd-description",
                    where,
                    f"CRD {crd.get('name')} has no description",
                    detail,
                    hint=hint,
                )


def _crd_rights(bundle: Bundle) -> Iterator[Finding]:
    for field in ("permissions", "clusterPermissions"):
        for number, entry in enumerate(bundle.strategy.get(field) or ()):
            for index, rule in enumerate(entry.get("rules") or ()):
                if _creates_crds(rule):
                    where = csv_path(bundle, f"spec.install.spec.{field}[{number}].rules[{index}]")
                    message = f"account {entry.get('serviceAccountName')} may create or patch CRDs, which is OLM's task"
                    yield _warn(bundle, "practice/crd-rights", where, message, _CRD_RIGHTS)
                    return


def _creates_crds(rule: Mapping[str, Any]) -> bool:
    return (
        "apiextensions.k8s.io" in (rule.get("apiGroups") or ())
        and bool({"customresourcedefinitions", "*", "[*]"} & set(rule.get("resources") or ()))
        and bool({"create", "*", "[*]", "patch"} & set(rule.get("verbs") or ()))
    )


def _name(bundle: Bundle) -> Iterator[Finding]:
    where = csv_path(bundle, "metadata.name")
    hint = "Use <package>.v<version>."
    if not _VERSION_IN_NAME.search(bundle.name):
        detail = (
            f"csv.metadata.Name {bundle.name} is not following the versioning convention (MAJOR.MINOR.PATCH e.g "
            f"0.0.1): "
            "https://semver.org/"
        )
        yield _warn(bundle, "practice/name", where, "does not end with a semantic version", detail, hint=hint)
    if len(bundle.name.split(".v")) != 2:
        detail = (
            f"csv.metadata.Name {bundle.name} is not following the recommended naming convention: "
            f"<operator-name>.v<semver> "
            "e.g. memcached-operator.v0.0.1"
        )
        yield _warn(bundle, "practice/name", where, "is not <package>.v<version>", detail, hint=hint)


RULES = (_requests, _descriptions, _crd_rights, _name)
