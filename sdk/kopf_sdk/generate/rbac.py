"""Permissions as named templates of a Helm chart.

`kopf_sdk.runtime.permissions` says which rights the controllers need. Here they become rules that the chart's own
templates put where they belong: into one ClusterRole, or into one Role per watched namespace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kopf_sdk.api import CustomResource
from kopf_sdk.generate.output import MARK

if TYPE_CHECKING:
    from kopf_sdk.runtime.permissions import PolicyRule, Rules

__all__ = ["rules_template", "user_role_rules", "user_roles_template"]

_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]

# Role for users -> the built-in ClusterRole it is added to.
_USER_ROLES = {"admin": "admin", "editor": "edit", "viewer": "view"}

Rule = dict[str, Any]


def rules_template(rules: Rules, resources: Sequence[type[CustomResource]], chart: str, source: str) -> str:
    """Return the template file with every list of rules under its name.

    The names are `<chart>.managerRules` (watched namespaces), `<chart>.leaderElectionRules` (the operator's own
    namespace), `<chart>.metricsAuthRules` (cluster-wide) and `<chart>.{admin,editor,viewer}Rules` (for users); where a
    webhook converts resources, `<chart>.convertedDefinitions`: the CRDs that have to trust its certificate.
    """
    blocks = {
        "managerRules": _commented(rules.manager),
        "leaderElectionRules": _commented(rules.leader_election),
        "metricsAuthRules": _commented(rules.metrics_auth),
    }
    blocks |= {f"{role}Rules": "\n".join(map(_rule, user_role_rules(resources, role))) for role in _USER_ROLES}
    if converted := sorted({one.definition.name for one in resources if one.definition.conversion == "Webhook"}):
        blocks["convertedDefinitions"] = "\n".join(f"- {name}" for name in converted)
    defined = (
        f'{{{{- define "{chart}.{name}" -}}}}\n{text or "[]"}\n{{{{- end }}}}\n' for name, text in blocks.items()
    )
    return _header(source) + "\n" + "\n".join(defined)


def user_roles_template(chart: str, source: str) -> str:
    """Return the template of the ClusterRoles for users, aggregated to the built-in admin, edit and view."""
    documents = [
        f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{{{ include "{chart}.fullname" . }}}}-{role}
  labels:
    {{{{- include "{chart}.labels" . | nindent 4 }}}}
    rbac.authorization.k8s.io/aggregate-to-{builtin}: "true"
rules:
  {{{{- include "{chart}.{role}Rules" . | nindent 2 }}}}
"""
        for role, builtin in _USER_ROLES.items()
    ]
    guard = "{{- if and .Values.rbac.create .Values.rbac.userRoles }}\n"
    return _header(source) + guard + "---\n".join(documents) + "{{- end }}\n"


def user_role_rules(resources: Iterable[type[CustomResource]], role: str) -> list[Rule]:
    """Return what an `admin`, `editor` or `viewer` of the kinds may do; nobody but the operator writes status."""
    verbs = _READ if role == "viewer" else sorted([*_READ, *_WRITE])
    by_group: dict[str, dict[str, bool]] = {}
    for resource in resources:
        definition = resource.definition
        kinds = by_group.setdefault(definition.group, {})
        kinds[definition.plural] = kinds.get(definition.plural, False) or definition.scale is not None
    rules: list[Rule] = []
    for group, kinds in sorted(by_group.items()):
        rules.append({"apiGroups": [group], "resources": sorted(kinds), "verbs": verbs})
        rules.append(
            {"apiGroups": [group], "resources": [f"{kind}/status" for kind in sorted(kinds)], "verbs": ["get"]}
        )
        scaled = [f"{kind}/scale" for kind, scales in sorted(kinds.items()) if scales]
        if scaled:
            allowed = ["get"] if role == "viewer" else ["get", "patch", "update"]
            rules.append({"apiGroups": [group], "resources": scaled, "verbs": allowed})
    return rules


def _commented(rules: Iterable[PolicyRule]) -> str:
    blocks = (f"# {rule.reason}\n{_rule(rule.to_json())}" if rule.reason else _rule(rule.to_json()) for rule in rules)
    return "\n".join(blocks)


def _rule(rule: Rule) -> str:
    return "- " + "\n  ".join(f"{key}: [{', '.join(map(_word, words))}]" for key, words in rule.items())


def _word(word: str) -> str:
    """Quote what YAML would not read as text."""
    return word if re.fullmatch(r"[a-z][a-z0-9./-]*", word) else json.dumps(word)


def _header(source: str) -> str:
    return f"{{{{- /* {MARK} from {source}; do not edit. */ -}}}}\n"
