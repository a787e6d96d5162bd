"""Helm hooks and tests. OLM has neither: what only serves them goes with them, what the operator needs stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from kopf_sdk.bundle.fate import Disposition, Fate
from kopf_sdk.bundle.objects import Object, pod_spec

__all__ = ["RUN_ONCE", "accounts_of", "hook_companions", "is_test", "needed_names"]

RUN_ONCE = frozenset({"Job", "Pod"})
_TESTS = frozenset({"test", "test-success", "test-failure"})


def is_test(obj: Object) -> bool:
    """Say whether an object belongs to `helm test` and to nothing else."""
    return bool(obj.hooks) and set(obj.hooks) <= _TESTS


def accounts_of(workloads: Iterable[Object]) -> dict[str, list[str]]:
    """Return the ServiceAccounts that the pods of workloads run under, with the names of those workloads."""
    accounts: dict[str, list[str]] = {}
    for workload in workloads:
        pod = pod_spec(workload)
        if pod:
            name = str(pod.get("serviceAccountName") or pod.get("serviceAccount") or "default")
            accounts.setdefault(name, []).append(workload.name)
    return accounts


def needed_names(workloads: Iterable[Object]) -> set[tuple[str, str]]:
    """Return (kind, name) of the ConfigMaps and Secrets that the pods of workloads refer to."""
    needed: set[tuple[str, str]] = set()

    def walk(value: Any, key: str) -> None:
        if isinstance(value, dict):
            name = value.get("name") or value.get("secretName")
            for kind, keys in (
                ("ConfigMap", {"configMap", "configMapKeyRef", "configMapRef"}),
                ("Secret", {"secret", "secretKeyRef", "secretRef", "imagePullSecrets"}),
            ):
                if key in keys and name:
                    needed.add((kind, str(name)))
            for inner_key, inner in value.items():
                walk(inner, inner_key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, key)

    for workload in workloads:
        walk(pod_spec(workload), "")
    return needed


def hook_companions(
    objects: Collection[Object], staying: Collection[Object], leaving: Collection[Object]
) -> list[Fate]:
    """Return the fates of what only serves workloads that leave: accounts, roles, bindings, hook ConfigMaps.

    Parameters
    ----------
    objects
        All objects that have no fate yet.
    staying, leaving
        The workloads that are bundled, and those that are not.
    """
    alive, dead = accounts_of(staying), accounts_of(leaving)
    orphans = {name: users for name, users in dead.items() if name not in alive and name != "default"}
    needed = needed_names(staying)
    fates: dict[int, Fate] = {}

    def leave(obj: Object, users: Iterable[str]) -> None:
        reason = f"serves only {', '.join(dict.fromkeys(users))}, which is not bundled"
        fates[id(obj)] = Fate(obj.ref, Disposition.LEFT_OUT, "", reason, obj.source)

    bound: dict[tuple[str, str], list[tuple[Object, list[str]]]] = {}
    for obj in objects:
        if obj.kind == "ServiceAccount" and obj.name in orphans:
            leave(obj, orphans[obj.name])
        elif obj.kind in {"RoleBinding", "ClusterRoleBinding"}:
            users = _users(obj, orphans)
            if users:
                leave(obj, users)
            reference = obj.data.get("roleRef") or {}
            bound.setdefault((str(reference.get("kind")), str(reference.get("name"))), []).append((obj, users))
        elif obj.hooks and obj.kind in {"ConfigMap", "Secret"} and (obj.kind, obj.name) not in needed:
            leave(obj, [name for name, users in ((w.name, w) for w in leaving)] or ["Helm hooks"])
    for obj in objects:
        bindings = bound.get((obj.kind, obj.name), [])
        if obj.kind in {"Role", "ClusterRole"} and bindings and all(users for _, users in bindings):
            leave(obj, [user for _, users in bindings for user in users])
    return list(fates.values())


def _users(binding: Object, orphans: dict[str, list[str]]) -> list[str]:
    """Return the workloads behind a binding's subjects, empty as soon as one subject is anything else."""
    users: list[str] = []
    for subject in binding.data.get("subjects") or ():
        name = str(subject.get("name"))
        if subject.get("kind") != "ServiceAccount" or name not in orphans:
            return []
        users.extend(orphans[name])
    return users
