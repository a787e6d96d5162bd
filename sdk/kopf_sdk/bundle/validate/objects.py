"""Other manifests: operator-framework/api `object.go`."""

from __future__ import annotations

from collections.abc import Iterator

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.validate.wording import reporter

__all__ = ["RULES"]

_found = reporter("objects")
_DEFAULT_SCCS = frozenset(
    {"privileged", "restricted", "anyuid", "hostaccess", "hostmount-anyuid", "hostnetwork", "node-exporter", "nonroot"}
)


def _budgets(bundle: Bundle) -> Iterator[Finding]:
    for manifest in bundle.manifests:
        spec = manifest.data.get("spec") or {}
        if manifest.kind != "PodDisruptionBudget":
            continue
        if spec.get("maxUnavailable") in (0, "0%"):
            message = "maxUnavailable field cannot be set to 0 or 0%"
            yield _found(
                Level.ERROR,
                "object/pdb",
                f"{manifest.path}: spec.maxUnavailable",
                message,
                "Nodes could never be drained.",
                message,
            )
        if spec.get("minAvailable") == "100%":
            message = "minAvailable field cannot be set to 100%"
            yield _found(
                Level.ERROR,
                "object/pdb",
                f"{manifest.path}: spec.minAvailable",
                message,
                "Nodes could never be drained.",
                message,
            )


def _priority_classes(bundle: Bundle) -> Iterator[Finding]:
    for manifest in bundle.manifests:
        if manifest.kind == "PriorityClass" and manifest.data.get("globalDefault"):
            message = "globalDefault field cannot be set to true"
            yield _found(Level.ERROR, "object/priority-class", f"{manifest.path}: globalDefault", message, "", message)


def _roles(bundle: Bundle) -> Iterator[Finding]:
    for manifest in bundle.manifests:
        if manifest.kind not in {"Role", "ClusterRole"}:
            continue
        for number, rule in enumerate(manifest.data.get("rules") or ()):
            where = f"{manifest.path}: rules[{number}]"
            groups, verbs = set(rule.get("apiGroups") or ()), set(rule.get("verbs") or ())
            resources, names = set(rule.get("resources") or ()), set(rule.get("resourceNames") or ())
            if (
                "policy" in groups
                and "poddisruptionbudgets" in resources
                and verbs & {"*", "create", "update", "patch"}
            ):
                message = (
                    "RBAC includes permission to create/update poddisruptionbudgets, which could impact cluster "
                    "stability"
                )
                yield _found(Level.WARNING, "object/rbac-pdb", where, message, "", message)
            if (
                "security.openshift.io" in groups
                and "securitycontextconstraints" in resources
                and verbs & {"*", "delete", "update", "patch"}
                and names & _DEFAULT_SCCS
            ):
                message = (
                    "RBAC includes permission to modify default securitycontextconstraints, which could impact "
                    "cluster stability"
                )
                yield _found(Level.ERROR, "object/rbac-scc", where, message, "", message)


RULES = (_budgets, _priority_classes, _roles)
