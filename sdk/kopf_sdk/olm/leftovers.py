"""Files of a bundle that outlive it: OLM makes cluster-scoped ones without an owner, and never removes them.

Source: operator-lifecycle-manager `pkg/controller/operators/catalog/operator.go` (ExecutePlan) and `step_ensurer.go`:
such an object gets the label `olm.managed`, and `olm.owner` with the last version's name when it was there before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["File", "files_of", "is_left", "versions_of"]

Object = Mapping[str, Any]

# Of the kinds that bundles may have, those without a namespace. CRDs are left out: with them would go the resources.
_KINDS = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConsoleCLIDownload",
        "ConsoleLink",
        "ConsolePlugin",
        "ConsoleQuickStart",
        "ConsoleYAMLSample",
        "PriorityClass",
    }
)


class File(NamedTuple):
    """A cluster-scoped object out of a bundle."""

    kind: str
    group: str
    name: str

    @property
    def resource(self) -> str:
        """The kind as kubectl takes it."""
        return f"{self.kind}.{self.group}".rstrip(".")

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def files_of(
    plans: Iterable[Object], installed: Iterable[Object], namespace: str, versions: Collection[str]
) -> tuple[list[File], set[File]]:
    """Return what was made for these versions in this namespace, and what is of other installed bundles.

    Parameters
    ----------
    plans
        The InstallPlans of all namespaces.
    installed
        The ClusterServiceVersions of all namespaces, without OLM's copies.
    """
    there = {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in installed}
    mine: dict[File, None] = {}
    others: set[File] = set()
    for plan in plans:
        where = plan["metadata"]["namespace"]
        for version, file in _files(plan):
            if where == namespace and version in versions:
                mine[file] = None
            elif (where, version) in there:
                others.add(file)
    return list(mine), others


def versions_of(package: str, found: Iterable[Object], plans: Iterable[Object]) -> set[str]:
    """Return the names of a package's versions in a namespace: those there, and those that were before."""
    names = {item["metadata"]["name"] for item in found}
    names |= {item["spec"]["replaces"] for item in found if item["spec"].get("replaces")}
    steps = (step for plan in plans for step in (plan.get("status") or {}).get("plan") or ())
    return names | {step["resolving"] for step in steps if str(step.get("resolving")).startswith(f"{package}.v")}


def is_left(found: Object, namespace: str, versions: Collection[str]) -> bool:
    """Whether an object as it is on the cluster is the file of one of these versions, installed in this namespace.

    Nothing (an empty mapping) is not.
    """
    metadata = found.get("metadata") or {}
    labels = metadata.get("labels") or {}
    made = labels.get("olm.managed") == "true" and not metadata.get("ownerReferences")
    owner, where = labels.get("olm.owner"), labels.get("olm.owner.namespace")
    return made and (owner is None or owner in versions) and where in (None, namespace)


def _files(plan: Object) -> Iterator[tuple[str, File]]:
    for step in (plan.get("status") or {}).get("plan") or ():
        resource = step["resource"]
        if resource["kind"] in _KINDS and step.get("status") in {"Created", "Present"}:
            file = File(resource["kind"], str(resource.get("group") or ""), resource["name"])
            yield str(step.get("resolving") or ""), file
