"""ServiceAccounts, roles and bindings of a chart → `permissions` and `clusterPermissions` of the CSV.

OLM creates an account for every entry (OLM v0: pkg/controller/registry/resolver/rbac.go; OLM v1:
registryv1/generators), puts `permissions` into the install namespace (and the target namespaces; with AllNamespaces
into the whole cluster, with get, list, watch on namespaces besides) and `clusterPermissions` into the cluster. It
cannot grant anything in one other namespace, and names its roles itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.config import Rbac
from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice, remedies
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.roles import AUTH_READER, RoleIndex, RoleKey, Rule, may_create_bindings, sensitive, unique

__all__ = ["Access", "resolve_access"]

_KINDS = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
_KEPT_ANNOTATIONS_PREFIX = ("helm.sh/", "meta.helm.sh/")


@dataclass(slots=True, eq=False, repr=False)
class Access:
    """Who may do what, in the CSV's terms. `files` are the objects that stay objects, possibly changed."""

    permissions: dict[str, list[Rule]] = field(default_factory=dict)
    cluster_permissions: dict[str, list[Rule]] = field(default_factory=dict)
    fates: list[Fate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    files: list[tuple[Object, str]] = field(default_factory=list)


def resolve_access(
    objects: Collection[Object],
    *,
    namespace: str,
    target_namespaces: Collection[str],
    pod_accounts: Collection[str],
    serving_accounts: Collection[str],
    rbac: Rbac,
    mapped: Callable[[Object], str | None],
) -> Access:
    """Return the access of every account, and the fate of every RBAC object in `objects`.

    Parameters
    ----------
    namespace
        The namespace the chart was rendered into.
    target_namespaces
        Namespaces that stand for those the operator watches; roles there become `permissions`.
    pod_accounts
        Accounts of the pods that stay: OLM must create them even when they may do nothing.
    serving_accounts
        Accounts of deployments that serve webhooks or APIs: OLM binds these to the roles of API servers itself.
    mapped
        The `map` target bundle.yaml gives for an object, if any.
    """
    return _Resolver(objects, namespace, target_namespaces, pod_accounts, serving_accounts, rbac, mapped).run()


@dataclass(slots=True, eq=False, repr=False)
class _Resolver:
    objects: Collection[Object]
    namespace: str
    targets: Collection[str]
    pod_accounts: Collection[str]
    serving: Collection[str]
    rbac: Rbac
    mapped: Callable[[Object], str | None]
    access: Access = field(default_factory=Access)
    # Role -> accounts that get its rules through the CSV; role -> bindings that stay files.
    granted: dict[RoleKey, set[str]] = field(default_factory=dict)
    bound_by_file: set[RoleKey] = field(default_factory=set)
    unplaced: set[RoleKey] = field(default_factory=set)
    index: RoleIndex = field(init=False)

    def run(self) -> Access:
        self.index = RoleIndex(self.objects, self.rbac.external_roles)
        for binding in by_kind(self.objects, "RoleBinding", "ClusterRoleBinding"):
            self._binding(binding)
        for account in by_kind(self.objects, "ServiceAccount"):
            self._account(account)
        for name in self.pod_accounts:
            if name != "default":
                self._ensure(name)
        for role in by_kind(self.objects, "Role", "ClusterRole"):
            self._role(role)
        self._report_widening()
        return self.access

    # -- bindings

    def _binding(self, binding: Object) -> None:
        ours, foreign = self._subjects(binding)
        key = self.index.key(binding)
        if not ours:
            self._keep_binding(binding, foreign, key)
            return
        rules = self.index.rules(key)
        if rules is None:
            self._unknown_role(binding, key)
            return
        scope = self._scope(binding, key, rules, ours)
        if scope is None:
            return
        table = self.access.permissions if scope == "permissions" else self.access.cluster_permissions
        for account in ours:
            table[account] = unique([*table.get(account, ()), *rules])
        for part in self.index.parts(key):
            self.granted.setdefault(part, set()).update(ours)
        where = f"spec.install.spec.{scope}: {', '.join(ours)}"
        if foreign:
            self.bound_by_file.add(key)
            self.access.files.append((binding.with_data({**binding.data, "subjects": foreign}), where))
            reason = "the operator's accounts go into the CSV, the other subjects keep their binding"
            self._fate(binding, Disposition.TRANSFORMED, where, reason)
        else:
            self._fate(binding, Disposition.CSV, where)

    def _subjects(self, binding: Object) -> tuple[list[str], list[Mapping[str, Any]]]:
        ours: list[str] = []
        foreign: list[Mapping[str, Any]] = []
        for subject in binding.data.get("subjects") or ():
            home = subject.get("namespace") or binding.namespace or self.namespace
            if subject.get("kind") == "ServiceAccount" and home in {self.namespace, ""}:
                ours.append(str(subject.get("name")))
            else:
                foreign.append(subject)
        return list(dict.fromkeys(ours)), foreign

    def _scope(self, binding: Object, key: RoleKey, rules: list[Rule], ours: list[str]) -> str | None:
        """Return the CSV field a binding's rules go to; None when its fate is sealed otherwise."""
        wish = self.mapped(binding)
        if wish in {"permissions", "cluster-permissions"}:
            return "permissions" if wish == "permissions" else "clusterPermissions"
        if binding.kind == "ClusterRoleBinding":
            return "clusterPermissions"
        if binding.namespace in {self.namespace, "", *self.targets}:
            return "permissions"
        if key[0] == "Role" and key[2] == AUTH_READER and set(ours) <= set(self.serving):
            self._fate(
                binding,
                Disposition.LEFT_OUT,
                "",
                "OLM binds the accounts of deployments that serve webhooks or APIs to this role itself",
            )
            return None
        if sensitive(rules) and self.rbac.other_namespaces == "ask":
            self.unplaced.add(key)
            self._fate(
                binding,
                Disposition.NO_PLACE,
                "",
                f"OLM grants rights in the install namespace or in all; only in {binding.namespace} it cannot, "
                "and these are too strong to widen unasked",
                remedies(binding, "cluster-permissions", "permissions"),
            )
            return None
        self._notice(
            Level.WARNING,
            "rbac-other-namespace",
            f"the rights it gives in namespace {binding.namespace} hold in every namespace under OLM",
            binding,
            "Set values so that the chart asks for them in its own namespace, or accept the wider rights.",
        )
        return "clusterPermissions"

    def _unknown_role(self, binding: Object, key: RoleKey) -> None:
        lines = f"rbac:\n  externalRoles:\n    {key[2]}:\n    - {{apiGroups: [...], resources: [...], verbs: [...]}}"
        drop, *_, values = remedies(binding)
        self._fate(
            binding,
            Disposition.NO_PLACE,
            "",
            f"{key[0]} {key[2]} is not in the chart and depends on the cluster, so its rules cannot be written "
            f"into the CSV",
            (drop, lines, values),
        )

    def _keep_binding(self, binding: Object, foreign: list[Mapping[str, Any]], key: RoleKey) -> None:
        group = f"system:serviceaccounts:{self.namespace}"
        if any(subject.get("name") == group for subject in foreign):
            self._fate(
                binding,
                Disposition.NO_PLACE,
                "",
                f"its subject {group} names the install namespace, which is not known before",
                remedies(binding),
            )
        elif binding.kind == "RoleBinding" and binding.namespace not in {self.namespace, ""}:
            self.unplaced.add(key)
            self._fate(
                binding,
                Disposition.NO_PLACE,
                "",
                f"OLM would put it into the install namespace instead of {binding.namespace}",
                remedies(binding),
            )
        else:
            self.bound_by_file.add(key)
            self.access.files.append((binding, "none of its subjects is an account of this operator"))

    # -- accounts

    def _account(self, account: Object) -> None:
        if account.namespace not in {self.namespace, ""}:
            self._fate(
                account,
                Disposition.NO_PLACE,
                "",
                f"OLM creates accounts only in the install namespace, not in {account.namespace}",
                remedies(account),
            )
            return
        name = account.name
        if not (
            name in self.pod_accounts or name in self.access.permissions or name in self.access.cluster_permissions
        ):
            self.access.files.append((account, "no pod of the operator uses it and nothing is granted to it"))
            return
        self._ensure(name)
        fields = [
            f
            for f in ("permissions", "clusterPermissions")
            if name in (self.access.permissions if f == "permissions" else self.access.cluster_permissions)
        ]
        bare = not any(self.access.permissions.get(name, ())) and not any(self.access.cluster_permissions.get(name, ()))
        reason = (
            "may do nothing; an entry without rules makes OLM create it" if bare else "OLM creates it from this entry"
        )
        self._fate(account, Disposition.CSV, f"spec.install.spec.{' and '.join(fields)}: {name}", reason)
        lost = sorted(key for key in account.annotations if not key.startswith(_KEPT_ANNOTATIONS_PREFIX))
        if lost:
            self._notice(
                Level.WARNING,
                "serviceaccount-annotations",
                f"annotations are lost, OLM creates the account without them: {', '.join(lost)}",
                account,
                "Cloud identities bound to the account must be set after the installation, or the operator take "
                "them from its environment.",
            )

    def _ensure(self, name: str) -> None:
        """Make OLM create the account: an entry without rules grants nothing, whatever the install mode."""
        if name not in self.access.permissions and name not in self.access.cluster_permissions:
            self.access.cluster_permissions[name] = []

    # -- roles

    def _role(self, role: Object) -> None:
        key = (role.kind, role.namespace, role.name)
        accounts = sorted(self.granted.get(key, ()))
        elsewhere = role.kind == "Role" and role.namespace not in {self.namespace, "", *self.targets}
        if accounts:
            where = f"spec.install.spec: rules of {', '.join(accounts)}"
            if elsewhere:
                self._fate(
                    role,
                    Disposition.TRANSFORMED,
                    where,
                    f"rights for {role.namespace} only cannot be expressed, see its binding",
                )
                return
            self._report_aggregation(role, accounts)
            keep = self._also_file(role, key, accounts)
            if keep:
                self.access.files.append((role, where))
            self._fate(role, Disposition.CSV, where, keep)
        elif elsewhere:
            reason = f"OLM would put it into the install namespace instead of {role.namespace}"
            if key in self.unplaced:
                reason = "its binding has no place"
            self._fate(role, Disposition.NO_PLACE, "", reason, remedies(role))
        else:
            reason = (
                "bound by a binding that stays"
                if key in self.bound_by_file
                else "bound to no account of the operator: for people or other software"
            )
            self.access.files.append((role, reason))

    def _also_file(self, role: Object, key: RoleKey, accounts: list[str]) -> str:
        """Return why a role that went into the CSV must also exist under its own name, "" if it need not."""
        if key in self.bound_by_file:
            return "kept as a file as well: other subjects are bound to it"
        if any(label.startswith("rbac.authorization.k8s.io/aggregate-to-") for label in role.labels):
            return "kept as a file as well: aggregated into roles of the cluster"
        binders = [
            account
            for account in accounts
            if may_create_bindings(
                [*self.access.permissions.get(account, ()), *self.access.cluster_permissions.get(account, ())]
            )
        ]
        return f"kept as a file as well: {', '.join(binders)} may bind it by name at run time" if binders else ""

    def _report_aggregation(self, role: Object, accounts: Collection[str]) -> None:
        if role.data.get("aggregationRule"):
            self._notice(
                Level.WARNING,
                "rbac-aggregation",
                f"rules of ClusterRoles that join it later do not reach {', '.join(accounts)}: the CSV has the rules "
                f"of today",
                role,
                "Whoever adds such a ClusterRole must bind it to the account as well.",
            )

    def _report_widening(self) -> None:
        for account, rules in self.access.permissions.items():
            if rules:
                self._notice(
                    Level.INFO,
                    "rbac-all-namespaces",
                    f"account {account}: with the install mode AllNamespaces its {len(rules)} namespaced rule(s) "
                    f"hold in the whole cluster, "
                    "and OLM adds get, list, watch on namespaces",
                )

    def _fate(
        self, obj: Object, disposition: Disposition, where: str, reason: str = "", ways: tuple[str, ...] = ()
    ) -> None:
        self.access.fates.append(Fate(obj.ref, disposition, where, reason, obj.source, ways))

    def _notice(self, level: Level, code: str, message: str, obj: Object | None = None, hint: str = "") -> None:
        self.access.notices.append(Notice(level, code, message, obj.ref if obj else None, hint))
