"""Who may do what, and what only ever ran once."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping

from kopf_sdk.bundle.convert.draft import Draft
from kopf_sdk.bundle.convert.files import report_namespace, write_file
from kopf_sdk.bundle.fate import Disposition, Level, remedies
from kopf_sdk.bundle.hooks import RUN_ONCE, accounts_of, hook_companions
from kopf_sdk.bundle.install_modes import WATCH_TOKEN
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.rbac import resolve_access

__all__ = ["place_access", "place_hooks"]

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
_RBAC = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def place_hooks(draft: Draft) -> None:
    """Find no place for what runs once, and leave out what only serves it."""
    for obj in draft.all():
        if obj.kind in RUN_ONCE and obj.hooks:
            reason = f"a Helm hook ({', '.join(obj.hooks)}) that runs once; OLM has no hooks"
            draft.fate(obj, Disposition.NO_PLACE, "", reason, remedies(obj))
    staying = list(draft.deployments.values())
    leaving = [obj for obj in draft.result.rendered if obj.kind in _WORKLOADS and obj not in staying]
    draft.settle(hook_companions(draft.all(), staying, leaving))


def place_access(draft: Draft) -> None:
    """Turn accounts and roles into permissions; what no permission can say becomes a file."""
    accounts = accounts_of(d.with_data({**d.data, "spec": draft.specs[d.name]}) for d in draft.deployments.values())
    served = {backend.deployment for backend in draft.backends}
    rbac = draft.all(*_RBAC)
    draft.access = resolve_access(
        rbac,
        namespace=draft.namespace.name,
        target_namespaces=(WATCH_TOKEN,),
        pod_accounts=list(accounts),
        serving_accounts=[account for account, users in accounts.items() if set(users) <= served],
        rbac=draft.config.rbac,
        mapped=draft.rules.mapped,
    )
    draft.result.notices += draft.access.notices
    _account_settings(draft, by_kind(rbac, "ServiceAccount"), accounts)
    draft.settle(draft.access.fates)
    kept = {obj.ref for obj, _ in draft.access.files}
    granted = {f.ref for f in draft.access.fates if f.disposition in {Disposition.CSV, Disposition.TRANSFORMED}}
    for role in by_kind(rbac, "Role", "ClusterRole"):
        if role.ref in granted - kept:
            report_namespace(draft, role, {"rules": role.data.get("rules")}, "")
    for obj, reason in draft.access.files:
        write_file(draft, obj, reason, settled=id(obj) not in draft.open and obj in rbac)


def _account_settings(draft: Draft, accounts: Collection[Object], users: Mapping[str, list[str]]) -> None:
    """OLM's accounts are bare: pull secrets and token settings of the chart's account move into its pods."""
    for account in accounts:
        for name in users.get(account.name, ()):
            pod = draft.specs[name]["template"]["spec"]
            for key in ("imagePullSecrets", "automountServiceAccountToken"):
                value = account.data.get(key)
                if value not in (None, [], True) and key not in pod:
                    pod[key] = copy.deepcopy(value)
                    draft.notice(
                        Level.INFO,
                        "serviceaccount-settings",
                        f"{key} moves into the pods of {name}: OLM creates the account without it",
                        account,
                    )
