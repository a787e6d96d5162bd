"""Bring the children of a resource to what is wanted: server-side apply where something differs, nothing elsewhere."""

from __future__ import annotations

import asyncio
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from pydantic_core import to_json

from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.cache import Entry, Store
from kopf_sdk.runtime.client import APPLY_PATCH, METADATA, UNCHECKED, Client
from kopf_sdk.runtime.drift import differences, first_difference, normalized
from kopf_sdk.runtime.errors import ApiError, ConflictError, ForbiddenError, InvalidError, NotFoundError
from kopf_sdk.runtime.kinds import Kind, Manifest

__all__ = ["Action", "Applied", "Applier", "ApplyError", "Change", "ForeignObjectError", "Problem", "Wanted"]

ABSENT = "1"
"""A resourceVersion that no live object has: an apply that carries it creates, or conflicts with whoever is there."""
ADOPTION_LABELS = ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance")
RUN_PODS = frozenset(
    {"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"}
)
"""Kinds that start pods, which may mount the other children."""
MEMORY = 10_000
"""How many children are remembered that the API server keeps otherwise than they were applied."""


class Action(Enum):
    """What was done to a child."""

    CREATED = "created"
    PATCHED = "patched"
    DELETED = "deleted"


@dataclass(frozen=True)
class Change:
    """One write."""

    action: Action
    kind: Kind
    name: str
    path: str = ""
    """For a patch: the first field that differed."""


@dataclass(frozen=True)
class Problem:
    """A child that is not as it should be, and trying again at once would not help."""

    kind: Kind
    name: str
    reason: str
    """One CamelCase word for a condition: ForeignObject, Rejected, Forbidden, Unreadable."""
    message: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.name}: {self.message}"


@dataclass
class Applied:
    """What an apply did and what it could not do."""

    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[tuple[Kind, str]] = field(default_factory=list)
    """Children of optional kinds that this cluster does not have."""

    @property
    def foreign(self) -> list[Problem]:
        """The names that somebody else's objects hold."""
        return [problem for problem in self.problems if problem.reason == "ForeignObject"]

    @property
    def rejected(self) -> list[Problem]:
        """The children that the API server says are wrong (an immutable field, a policy, a quota)."""
        return [problem for problem in self.problems if problem.reason in ("Rejected", "Forbidden")]

    def add(self, other: Applied) -> None:
        """Add what was done elsewhere."""
        self.changes += other.changes
        self.problems += other.problems
        self.skipped += other.skipped

    def raise_for_problems(self) -> None:
        """Raise the first problem, if there is one.

        Raises
        ------
        ForeignObjectError, ApplyError
        """
        for problem in self.problems:
            raise (ForeignObjectError if problem.reason == "ForeignObject" else ApplyError)(problem)


class ApplyError(Exception):
    """A child could not be brought to what is wanted."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class ForeignObjectError(ApplyError):
    """An object of that name exists and is not ours; it was left alone."""


@dataclass(frozen=True)
class Wanted:
    """A desired child; completed only when it has to be looked at."""

    kind: Kind
    namespace: str | None
    name: str
    child: Mapping[str, Any]
    reference: Mapping[str, Any]
    """The owner reference that it gets."""
    labels: Mapping[str, str]
    digest: int
    """Equal for equal children of one owner."""
    has_nulls: bool
    """Whether there may be nulls in it, which have to be looked for: most have none."""

    @classmethod
    def of(cls, child: Mapping[str, Any], kind: Kind, owner: Manifest, labels: Mapping[str, str]) -> Wanted:
        """Prepare a manifest that will get namespace, labels and the controlling owner.

        `blockOwnerDeletion` stays unset: where OwnerReferencesPermissionEnforcement is on (OpenShift) it would need the
        right to update the owner's finalizers.
        """
        metadata = child.get("metadata") or {}
        namespace = owner["metadata"].get("namespace") or metadata.get("namespace") if kind.namespaced else None
        if not metadata.get("name"):
            raise SdkError(f"a child of kind {kind.kind} has no metadata.name")
        if (metadata.get("namespace") or namespace) != namespace:
            raise SdkError(
                f"{kind.kind} {metadata['name']} is in namespace {metadata['namespace']}, its owner is not",
                hint="An owner reference cannot cross namespaces.",
            )
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        text = to_json(child)
        digest = hash((reference["uid"], text))
        return cls(kind, namespace, metadata["name"], child, reference, labels, digest, b"null" in text)

    @functools.cached_property
    def manifest(self) -> Manifest:
        """What is applied."""
        manifest = normalized(self.child, has_nulls=self.has_nulls)
        metadata = dict(manifest["metadata"])
        if self.namespace:
            metadata["namespace"] = self.namespace
        if self.labels:
            metadata["labels"] = {**self.labels, **metadata.get("labels", {})}
        metadata["ownerReferences"] = [*metadata.get("ownerReferences", ()), self.reference]
        manifest["metadata"] = metadata
        return manifest


@dataclass(frozen=True)
class Verdict:
    """What has to be done about one child."""

    step: str
    """create, patch, keep, wait, foreign"""
    detail: str = ""


def judge(wanted: Wanted, entry: Entry | None, owner_uid: str) -> Verdict:
    """Compare a wanted child with the cached one."""
    if entry is None:
        return Verdict("create")
    if entry.deleting:
        return Verdict("wait", "it is being deleted")
    live = entry.manifest()
    if entry.owner != owner_uid:
        controller = next((ref for ref in live["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)
        reference = wanted.manifest["metadata"]["ownerReferences"][-1]
        if controller is not None:
            if (controller["kind"], controller["name"]) == (reference["kind"], reference["name"]):
                return Verdict("wait", "it belongs to a deleted resource of the same name and will be collected")
            return Verdict("foreign", f"it is controlled by {controller['kind']} {controller['name']}")
        if entry.fields is None and not _is_orphan(wanted, entry):
            return Verdict("foreign", "it exists and was not made by this operator")
        return Verdict("patch", "metadata.ownerReferences")
    difference = first_difference(wanted.manifest, live, entry.fields)
    return Verdict("patch", difference) if difference else Verdict("keep")


def _differing(wanted: Wanted, entry: Entry) -> frozenset[str]:
    """Return all fields to repair."""
    return frozenset(differences(wanted.manifest, entry.manifest(), entry.fields))


def _is_orphan(wanted: Wanted, entry: Entry) -> bool:
    """Whether an object without a controller carries the labels that mark it as this resource's child."""
    labels = wanted.manifest["metadata"].get("labels", {})
    return all(label in labels and entry.labels.get(label) == labels[label] for label in ADOPTION_LABELS)


def _refusal(error: ApiError) -> str:
    """Return the reason of a problem that trying again at once would not solve; empty for any other trouble."""
    if isinstance(error, InvalidError):
        return "Rejected"
    return "Forbidden" if isinstance(error, ForbiddenError) and not error.namespace_terminating else ""


def _in_turn(children: Iterable[Wanted]) -> list[list[Wanted]]:
    """Return which children are written together, one group after the other."""
    groups: tuple[list[Wanted], list[Wanted]] = ([], [])
    for child in children:
        groups[child.kind.kind in RUN_PODS].append(child)
    return [group for group in groups if group]


class Children(Protocol):
    """The caches of owned kinds, as the applier sees them."""

    def kind_of(self, child: Mapping[str, Any]) -> Kind:
        """Return the declared kind of a manifest; SdkError if it is not declared as owned."""

    def store(self, kind: Kind) -> Store:
        """Return the cache of an owned kind."""

    def kinds(self) -> Iterable[Kind]:
        """Return all owned kinds."""

    def absent(self, kind: Kind) -> bool:
        """Whether the cluster does not have the kind."""

    def unreadable(self, kind: Kind, namespace: str | None) -> str | None:
        """Why the kind cannot be read in that namespace now, if it cannot."""


@dataclass
class Applier:
    """Applies for one controller."""

    client: Client
    children: Children
    field_manager: str
    labels: Mapping[str, str] = field(default_factory=dict)
    log: Callable[[str], None] = lambda message: None
    _stubborn: OrderedDict[tuple[Kind, str], tuple[int, frozenset[str]]] = field(default_factory=OrderedDict)
    """(digest, paths) of what the API server would not keep: applying it again and again would change nothing."""

    async def apply(self, owner: Manifest, children: Iterable[Mapping[str, Any]]) -> Applied:
        """Create, repair and delete until the owner's children are exactly these.

        Writes go out together, those of kinds that run pods after all others, so that what pods mount is there. Every
        child is tried, also after the failure of another one.

        Raises
        ------
        ApiError
            If the API server was in trouble or changed under us: to be tried again.
        SdkError
            If a child's kind is not declared as owned, or a manifest is incomplete.
        """
        wanted = [Wanted.of(child, self.children.kind_of(child), owner, self.labels) for child in children]
        applied = Applied()
        trouble: list[ApiError] = []
        for together in _in_turn(child for child in wanted if not self._is_settled(child)):
            tries = (self._bring(child, owner["metadata"]["uid"]) for child in together)
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            for child, outcome in zip(together, outcomes, strict=True):
                if isinstance(outcome, Applied):
                    applied.add(outcome)
                elif not isinstance(outcome, ApiError):
                    raise outcome
                elif reason := _refusal(outcome):
                    applied.problems.append(Problem(child.kind, child.name, reason, outcome.message))
                else:
                    trouble.append(outcome)
        names = {(child.kind, child.namespace, child.name) for child in wanted}
        for kind in self.children.kinds():
            for entry in self.children.store(kind).owned_by(owner["metadata"]["uid"]):
                if (kind, entry.namespace, entry.name) not in names and not entry.deleting:
                    try:
                        await self.delete(kind, entry)
                        applied.changes.append(Change(Action.DELETED, kind, entry.name))
                    except ForbiddenError as error:
                        applied.problems.append(Problem(kind, entry.name, "Forbidden", error.message))
                    except ApiError as error:
                        trouble.append(error)
        if trouble:
            raise trouble[0]
        return applied

    async def delete(self, kind: Kind, entry: Entry) -> None:
        """Delete this very object, not a later one of the same name; that it is gone already is fine."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": entry.uid},
        }
        store = self.children.store(kind)
        try:
            answer = await self.client.request("DELETE", kind.path(entry.namespace, entry.name), body=options)
        except NotFoundError:
            store.remove(entry.uid)
            return
        if answer.get("kind") == kind.kind:
            store.put(answer)  # finalizers keep it for a while
        else:
            store.remove(entry.uid)

    def _is_settled(self, child: Wanted) -> bool:
        """Whether the child can be seen, and was found equal to the very same wanted one before."""
        if self.children.absent(child.kind) or self.children.unreadable(child.kind, child.namespace) is not None:
            return False
        entry = self.children.store(child.kind).get(child.namespace, child.name)
        return entry is not None and entry.settled == child.digest

    async def _bring(self, child: Wanted, owner_uid: str) -> Applied:
        if self.children.absent(child.kind):
            return Applied(skipped=[(child.kind, child.name)])
        if (why := self.children.unreadable(child.kind, child.namespace)) is not None:
            return Applied(problems=[Problem(child.kind, child.name, "Unreadable", why)])
        store = self.children.store(child.kind)
        entry = store.get(child.namespace, child.name)
        verdict = judge(child, entry, owner_uid)
        match verdict.step:
            case "foreign":
                return Applied(problems=[Problem(child.kind, child.name, "ForeignObject", verdict.detail)])
            case "wait":
                raise ConflictError(f"{child.kind.kind} {child.name}: {verdict.detail}", status=409)
            case "create":
                return await self._create(child, store)
            case "patch":
                assert entry is not None
                digest, paths = self._stubborn.get((child.kind, entry.uid), (0, frozenset()))
                if digest != child.digest or verdict.detail not in paths or not _differing(child, entry) <= paths:
                    return await self._patch(child, entry, verdict.detail, store)
        assert entry is not None
        entry.settled = child.digest
        return Applied()

    async def _create(self, child: Wanted, store: Store) -> Applied:
        try:
            answer = await self._send(child, {"resourceVersion": ABSENT})
        except ConflictError:
            # Somebody holds the name. The cache does not show it: it is not labelled as ours, or the watch is late.
            path = child.kind.path(child.namespace, child.name)
            found = await self.client.request("GET", path, accept=METADATA)
            owners = found["metadata"].get("ownerReferences") or ()
            uid = child.manifest["metadata"]["ownerReferences"][-1]["uid"]
            managers = {item.get("manager") for item in found["metadata"].get("managedFields") or ()}
            if any(ref["uid"] == uid for ref in owners) or (not owners and self.field_manager in managers):
                # Ours, but out of the watch's sight (a label was taken off): apply over this very object.
                answer = await self._send(child, {"uid": found["metadata"]["uid"]})
                self._take_in(child, answer, store)
                return Applied([Change(Action.PATCHED, child.kind, child.name, "metadata")])
            why = "it exists and was not made by this operator"
            return Applied(problems=[Problem(child.kind, child.name, "ForeignObject", why)])
        self._take_in(child, answer, store)
        return Applied([Change(Action.CREATED, child.kind, child.name)])

    async def _patch(self, child: Wanted, entry: Entry, path: str, store: Store) -> Applied:
        try:
            answer = await self._send(child, {"uid": entry.uid})
        except InvalidError as error:
            if any(where == "metadata.uid" for where, _ in error.causes):
                raise ConflictError("the object was replaced", status=409) from error
            raise
        self._take_in(child, answer, store)
        updated = store.get(child.namespace, child.name)
        if updated is not None and (left := judge(child, updated, updated.owner or "")).step == "patch":
            self._stubborn[child.kind, updated.uid] = (child.digest, _differing(child, updated))
            if len(self._stubborn) > MEMORY:
                self._stubborn.popitem(last=False)
            self.log(f"{child.kind.kind} {child.name}: the API server does not keep {left.detail} as it was applied")
        return Applied([Change(Action.PATCHED, child.kind, child.name, path)])

    async def _send(self, child: Wanted, precondition: Mapping[str, str]) -> Manifest:
        metadata = {**child.manifest["metadata"], **precondition}
        return await self.client.request(
            "PATCH",
            child.kind.path(child.namespace, child.name),
            params={"fieldManager": self.field_manager, "force": "true", **UNCHECKED},
            body={**child.manifest, "metadata": metadata},
            content_type=APPLY_PATCH,
        )

    def _take_in(self, child: Wanted, answer: Manifest, store: Store) -> None:
        store.put(answer)
        entry = store.get(child.namespace, child.name)
        if entry is not None and entry.uid == answer["metadata"]["uid"]:
            entry.settled = child.digest
