"""Which rights the operator needs, from what its controllers declare. Pure: needs neither a cluster nor a manager."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kopf_sdk.runtime.controller import Controller

__all__ = ["Permission", "PolicyRule", "Rules", "rules"]


@dataclass(frozen=True)
class Permission:
    """A right that a reconcile function needs beside what its controller's declaration implies.

    Examples
    --------
    >>> Permission("pods", "", ["delete"], reason="replaces pods one at a time")
    Permission(resource='pods', group='', verbs=('delete',), reason='replaces pods one at a time', names=())
    """

    resource: str
    """The plural, with the subresource where there is one: `pods/resize`."""
    group: str
    verbs: Sequence[str]
    reason: str
    names: Sequence[str] = ()
    """The only objects it is for; empty for all."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "verbs", tuple(self.verbs))
        object.__setattr__(self, "names", tuple(self.names))


@dataclass(frozen=True)
class PolicyRule:
    """A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1)."""

    api_groups: tuple[str, ...]
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    resource_names: tuple[str, ...] = ()
    reason: str = ""
    """Why it is needed; for a comment, not part of the rule."""

    def to_json(self) -> dict[str, Any]:
        """Return the rule as it stands in a manifest."""
        rule: dict[str, Any] = {
            "apiGroups": list(self.api_groups),
            "resources": list(self.resources),
            "verbs": list(self.verbs),
        }
        if self.resource_names:
            rule["resourceNames"] = list(self.resource_names)
        return rule


@dataclass(frozen=True)
class Rules:
    """All rights, by where they are granted."""

    manager: list[PolicyRule]
    """For the watched namespaces: a Role in each of them, or one ClusterRole."""
    leader_election: list[PolicyRule]
    """For the namespace of the lease: a Role."""
    metrics_auth: list[PolicyRule]
    """For secured metrics: a ClusterRole, because token and access reviews are cluster-scoped."""


READ = ("list", "watch")
OWN = ("create", "delete", "get", "list", "patch", "watch")


def rules(
    controllers: Sequence[Controller[Any]],
    *,
    leader_election: bool = True,
    metrics_auth: bool = True,
    events: bool = True,
) -> Rules:
    """Return the rights that these controllers use: merged, sorted, and none besides.

    Parameters
    ----------
    controllers
        The declarations, as given to the Manager.
    leader_election
        Whether a Lease is held.
    metrics_auth
        Whether metrics are served to those only who may read them.
    events
        Whether reconcile functions write events.
    """
    needed: list[Permission] = []
    for controller in controllers:
        kind = controller.kind
        needed.append(Permission(kind.plural, kind.group, READ, f"watches the {kind.kind} resources"))
        needed.append(Permission(f"{kind.plural}/status", kind.group, ("patch",), f"reports the status of {kind.kind}"))
        needed += [Permission(owned.plural, owned.group, OWN, f"owned by {kind.kind}") for owned in controller.owns]
        needed += [
            Permission(watch.kind.plural, watch.kind.group, READ, watch.reason or f"followed by {kind.kind}")
            for watch in controller.watches
        ]
        needed += controller.permissions
    if events:
        needed.append(Permission("events", "events.k8s.io", ("create", "patch"), "tells people what happened"))
    lease = [Permission("leases", "coordination.k8s.io", ("create", "get", "update"), "elects one active replica")]
    reviews = [
        Permission("tokenreviews", "authentication.k8s.io", ("create",), "asks who wants to read metrics"),
        Permission("subjectaccessreviews", "authorization.k8s.io", ("create",), "asks whether they may"),
    ]
    return Rules(merged(needed), merged(lease) if leader_election else [], merged(reviews) if metrics_auth else [])


def merged(permissions: Iterable[Permission]) -> list[PolicyRule]:
    """Put together what has the same group and verbs; the result does not depend on the order."""
    verbs: defaultdict[tuple[str, str, tuple[str, ...]], set[str]] = defaultdict(set)
    reasons: defaultdict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for permission in permissions:
        at = (permission.group, permission.resource, tuple(sorted(permission.names)))
        verbs[at] |= set(permission.verbs)
        if permission.reason and permission.reason not in reasons[at]:
            reasons[at].append(permission.reason)
    together: defaultdict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for group, resource, names in sorted(verbs):
        at = (group, resource, names)
        together[group, tuple(sorted(verbs[at])), names].append(resource)
    return [
        PolicyRule(
            (group,),
            tuple(resources),
            allowed,
            names,
            "; ".join(dict.fromkeys(reason for resource in resources for reason in reasons[group, resource, names])),
        )
        for (group, allowed, names), resources in sorted(together.items(), key=lambda item: (item[0][0], item[1]))
    ]
