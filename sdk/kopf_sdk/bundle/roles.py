"""RBAC rules: those of a role with its aggregation, of the cluster's own roles, and what makes a rule sensitive."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from kopf_sdk.bundle.objects import Object, labels_match

__all__ = ["AUTH_READER", "EXTERNAL_ROLES", "RoleIndex", "Rule", "may_create_bindings", "sensitive", "unique"]

Rule = dict[str, Any]
RoleKey = tuple[str, str, str]

AUTH_READER = "extension-apiserver-authentication-reader"
# Roles every cluster has and whose rules do not depend on the cluster (kubernetes: plugin/pkg/auth/authorizer/rbac/
# bootstrappolicy/policy.go). view, edit and admin are aggregated in the cluster, so they are not among them.
EXTERNAL_ROLES: dict[str, list[Rule]] = {
    "system:auth-delegator": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ],
    AUTH_READER: [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["extension-apiserver-authentication"],
            "verbs": ["get", "list", "watch"],
        }
    ],
    "cluster-admin": [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ],
}
_SENSITIVE_RESOURCES = frozenset(
    {
        "*",
        "secrets",
        "pods",
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "serviceaccounts/token",
        "nodes/proxy",
    }
)
_SENSITIVE_VERBS = frozenset({"*", "escalate", "bind", "impersonate"})
_RBAC_GROUP = "rbac.authorization.k8s.io"


class RoleIndex:
    """The roles of a rendering, by kind, namespace and name."""

    def __init__(self, objects: Iterable[Object], external: Mapping[str, list[Rule]]) -> None:
        self.roles: dict[RoleKey, Object] = {
            (obj.kind, obj.namespace, obj.name): obj for obj in objects if obj.kind in {"Role", "ClusterRole"}
        }
        self._external = {**EXTERNAL_ROLES, **external}

    def key(self, binding: Object) -> RoleKey:
        """Return what a binding's roleRef points at."""
        reference = binding.data.get("roleRef") or {}
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        return (kind, binding.namespace if kind == "Role" else "", name)

    def rules(self, key: RoleKey) -> list[Rule] | None:
        """Return the rules behind a roleRef, aggregation resolved; None for a role nobody here knows."""
        role = self.roles.get(key)
        if role is None:
            rules = self._external.get(key[2])
            return copy.deepcopy(rules) if rules is not None else None
        return unique(rule for part in self.parts(key) for rule in self.roles[part].data.get("rules") or ())

    def parts(self, key: RoleKey) -> list[RoleKey]:
        """Return the role itself and, if it is aggregated, every role of the rendering that it aggregates."""
        parts, queue = [], [key]
        while queue:
            current = queue.pop(0)
            if current in parts or current not in self.roles:
                continue
            parts.append(current)
            selectors = (self.roles[current].data.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
            queue.extend(
                other
                for other, role in self.roles.items()
                if other[0] == "ClusterRole" and any(labels_match(selector, role.labels) for selector in selectors)
            )
        return parts


def unique(rules: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Return copies of the rules in order, each once; null fields left away."""
    result: list[Rule] = []
    for rule in rules:
        clean = {key: copy.deepcopy(value) for key, value in rule.items() if value is not None}
        if clean not in result:
            result.append(clean)
    return result


def sensitive(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether these rules, granted in more namespaces than the chart does, give away secrets or rights."""
    for rule in rules:
        if _SENSITIVE_VERBS & set(rule.get("verbs") or ()):
            return True
        if rule.get("resourceNames"):
            continue
        if _SENSITIVE_RESOURCES & set(rule.get("resources") or ()) or _RBAC_GROUP in (rule.get("apiGroups") or ()):
            return True
    return False


def may_create_bindings(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether an account with these rules can bind roles by name at run time."""
    return any(
        {_RBAC_GROUP, "*"} & set(rule.get("apiGroups") or ())
        and {"rolebindings", "clusterrolebindings", "*"} & set(rule.get("resources") or ())
        and {"create", "*"} & set(rule.get("verbs") or ())
        for rule in rules
    )
