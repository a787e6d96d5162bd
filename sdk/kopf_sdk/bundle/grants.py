"""Effective rights of accounts, atom by atom: what bindings and roles together allow, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.roles import RoleIndex, Rule

__all__ = ["Grant", "GrantIndex", "effective_grants"]


class Grant(NamedTuple):
    """One right. `scope` is a namespace, or "" for the whole cluster; `target` a resource with its group, or a URL."""

    account: str
    scope: str
    target: str
    name: str
    verb: str

    def __str__(self) -> str:
        where = f"in namespace {self.scope}" if self.scope else "in the whole cluster"
        named = f" named {self.name}" if self.name else ""
        return f"{self.account}: {self.verb} {self.target}{named} {where}"


class GrantIndex:
    """The grants of all accounts, found by what they might cover."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self._exact: dict[tuple[str, str], list[Grant]] = {}
        self._wild: dict[str, list[Grant]] = {}
        for grant in grants:
            self._exact.setdefault((grant.account, grant.target), []).append(grant)
            if "*" in grant.target:
                self._wild.setdefault(grant.account, []).append(grant)

    def cover(self, grant: Grant) -> bool:
        """Say whether some grant allows the same or more."""
        return any(_allows(other, grant) for other in self._candidates(grant))

    def same_right(self, grant: Grant) -> list[Grant]:
        """Return the grants of the same right in whatever scope."""
        return [other for other in self._exact.get((grant.account, grant.target), ()) if other[2:] == grant[2:]]

    def _candidates(self, grant: Grant) -> Iterator[Grant]:
        yield from self._exact.get((grant.account, grant.target), ())
        yield from self._wild.get(grant.account, ())


def effective_grants(
    objects: Iterable[Object], namespace: str, external: Mapping[str, list[Rule]]
) -> tuple[set[Grant], list[str]]:
    """Return the rights of the accounts in a namespace, and the roles that are bound and nowhere defined."""
    listed = list(objects)
    index = RoleIndex(listed, external)
    grants: set[Grant] = set()
    unknown: list[str] = []
    for binding in listed:
        if binding.kind not in {"RoleBinding", "ClusterRoleBinding"}:
            continue
        accounts = [
            str(subject.get("name"))
            for subject in binding.data.get("subjects") or ()
            if subject.get("kind") == "ServiceAccount"
            and (subject.get("namespace") or binding.namespace or namespace) == namespace
        ]
        if not accounts:
            continue
        rules = index.rules(index.key(binding))
        if rules is None:
            unknown.append(f"{binding.ref} → {index.key(binding)[2]}")
            continue
        scope = "" if binding.kind == "ClusterRoleBinding" else binding.namespace or namespace
        for account in accounts:
            for rule in rules:
                grants.update(_atoms(account, scope, rule))
    return grants, unknown


def _atoms(account: str, scope: str, rule: Mapping[str, Any]) -> Iterator[Grant]:
    for verb in rule.get("verbs") or ():
        for url in rule.get("nonResourceURLs") or ():
            # A namespaced role cannot grant URLs: the API server ignores them there.
            if not scope:
                yield Grant(account, scope, f"URL {url}", "", verb)
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    yield Grant(account, scope, f"{resource}.{group}" if group else resource, name, verb)


def _allows(more: Grant, less: Grant) -> bool:
    return (
        more.account == less.account
        and more.scope in {"", less.scope}
        and more.verb in {"*", less.verb}
        and more.name in {"", less.name}
        and _target_allows(more.target, less.target)
    )


def _target_allows(more: str, less: str) -> bool:
    if more == less:
        return True
    if more.startswith("URL ") or less.startswith("URL "):
        return more.startswith("URL ") and more.endswith("*") and less.startswith(more[:-1])
    resource, _, group = more.partition(".")
    other, _, other_group = less.partition(".")
    return resource in {"*", other} and group in {"*", other_group}
