"""What the operator knows of the cluster: objects by kind, trimmed, read from memory.

Objects are kept packed (see `packing`): a hundredth of the memory of decoded ones, and every reader gets a copy of its
own. `managedFields` are gone but for the fields that we applied ourselves, which decide about drift.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import to_json

from kopf_sdk.runtime.kinds import Kind, Manifest, object_key
from kopf_sdk.runtime.packing import Packed, Packer

__all__ = ["Change", "Entry", "Owner", "Source", "Store"]

TOMBSTONE_SECONDS = 600.0
"""How long a deleted UID is remembered, so that a late event of a slow watch does not bring it back."""
GONE_FOR_GOOD = sys.maxsize
"""The version of a deletion that nothing can follow."""


class _Tombstone(NamedTuple):
    buried: float
    version: int


@dataclass(frozen=True)
class Source:
    """What one watch delivers: a kind, all of it or what the selectors let through."""

    kind: Kind
    label_selector: str = ""
    metadata_only: bool = False
    field_selector: str = ""

    @property
    def selectors(self) -> dict[str, str]:
        """The selectors as parameters of a list or watch request."""
        found = {"labelSelector": self.label_selector, "fieldSelector": self.field_selector}
        return {name: selector for name, selector in found.items() if selector}


class Owner(NamedTuple):
    """The controlling owner of an object."""

    kind: str
    name: str
    uid: str


@dataclass(slots=True, eq=False)
class Entry:
    """One object in one version. Nothing of it changes but `settled`."""

    uid: str
    namespace: str | None
    name: str
    version: int
    generation: int
    deleting: bool
    controller: Owner | None
    """The controlling owner."""
    labels: Mapping[str, str]
    annotations: int
    """Digest of the annotations: equal for equal ones."""
    body: Packed
    """The object without `resourceVersion` and `managedFields`."""
    fields: str | None
    """Our own FieldsV1, or None where we never applied. Equal ones are one string in memory."""
    settled: int | None = None
    """Digest of the wanted manifest that this version was found equal to: asked again, the answer is the same."""

    @property
    def owner(self) -> str | None:
        """UID of the controlling owner."""
        return self.controller.uid if self.controller else None

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return object_key(self.namespace, self.name)

    def manifest(self) -> Manifest:
        """Decode the object; the copy belongs to the caller."""
        manifest: Manifest = self.body.unpack()
        manifest["metadata"]["resourceVersion"] = str(self.version)
        return manifest


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object; `old` is None for a new one, `new` for one that vanished."""

    old: Entry | None
    new: Entry | None

    @property
    def entry(self) -> Entry:
        """The object as it is, or as it was last seen."""
        entry = self.new or self.old
        assert entry is not None
        return entry

    @property
    def is_drift(self) -> bool:
        """Whether an object that was there is gone, or not what it was: more than its status changed."""
        return self.old is not None and (self.new is None or not _only_status_changed(self.old, self.new))


@dataclass
class Store:
    """All objects of one source, indexed by UID, by name and by owner.

    Writers are the watch and, for read-your-writes, whoever gets an object back from the API server. An older version
    of an object never replaces a newer one.
    """

    source: Source
    field_manager: str = ""
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    _entries: dict[str, Entry] = field(default_factory=dict)
    _names: dict[tuple[str | None, str], str] = field(default_factory=dict)
    _owned: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _tombstones: dict[str, _Tombstone] = field(default_factory=dict)
    _packer: Packer = field(default_factory=Packer)
    _labelled: dict[str, defaultdict[str, set[str]]] = field(default_factory=dict)
    """UIDs by value, for every label that was ever asked for: a question must not cost more with every object."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __contains__(self, uid: object) -> bool:
        return uid in self._entries

    def get(self, namespace: str | None, name: str) -> Entry | None:
        """Return the object of that name."""
        uid = self._names.get((namespace, name))
        return self._entries.get(uid) if uid else None

    def older(self, uid: str, version: int) -> bool:
        """Whether an object that is alive in that version is missing here, or here only in an older one."""
        entry = self._entries.get(uid)
        if entry is not None:
            return entry.version < version
        tombstone = self._tombstones.get(uid)
        return tombstone is None or tombstone.version < version

    def owned_by(self, uid: str) -> list[Entry]:
        """Return the objects that the object with that UID controls, by name."""
        return sorted((self._entries[child] for child in self._owned.get(uid, ())), key=lambda entry: entry.name)

    def select(self, namespace: str | None, labels: Mapping[str, str]) -> list[Entry]:
        """Return the objects in a namespace (None: in all) that carry all these labels, by key."""
        wanted = labels.items()
        found = [
            entry
            for entry in self._candidates(labels)
            if (namespace is None or entry.namespace == namespace) and wanted <= entry.labels.items()
        ]
        return sorted(found, key=lambda entry: entry.key)

    def holds(self, uid: str, version: int) -> bool:
        """Whether an object is here in exactly that version."""
        entry = self._entries.get(uid)
        return entry is not None and entry.version == version

    def put(self, manifest: Manifest) -> None:
        """Take in an object as the API server sent it, unless what is here is as new."""
        metadata = manifest["metadata"]
        uid, version = metadata["uid"], _version(metadata)
        tombstone = self._tombstones.get(uid)
        if tombstone is not None and version <= tombstone.version:
            return
        old = self._entries.get(uid)
        if old is not None and version <= old.version:
            return
        entry = _entry(manifest, self.field_manager, self._packer)
        if old is not None and _only_status_changed(old, entry):
            entry.settled = old.settled
        namesake = self.get(entry.namespace, entry.name)
        if namesake is not None and namesake.uid != entry.uid:
            if namesake.version > entry.version:
                return
            self.remove(namesake.uid)
        self._entries[entry.uid] = entry
        self._names[entry.namespace, entry.name] = entry.uid
        if old is None or old.labels != entry.labels:
            if old is not None:
                self._unlabel(old)
            for name, values in self._labelled.items():
                if name in entry.labels:
                    values[entry.labels[name]].add(entry.uid)
        if old is not None and old.owner and old.owner != entry.owner:
            self._disown(old)
        if entry.owner:
            self._owned[entry.owner].add(entry.uid)
        # What is outside of its metadata (a Secret's data) shows in a new version only.
        hidden = self.source.metadata_only
        if old is None or hidden or not old.body.same(entry.body) or old.fields != entry.fields:
            self._tell(Change(old, entry))

    def remove(self, uid: str, version: int = GONE_FOR_GOOD) -> None:
        """Forget an object that is gone.

        `version` is that of a watch's DELETED event: with a label selector the object may only have lost its labels,
        and come back under the same UID.
        """
        self._bury(uid, version)
        if (entry := self._entries.get(uid)) is not None:
            self._drop(entry)

    def prune(self, alive: Iterable[str], version: int, namespace: str | None) -> list[Entry]:
        """Forget what a complete list of that version no longer holds; return it.

        Objects newer than the list (our own writes since) stay.
        """
        known = set(alive)
        ghosts = [
            entry
            for entry in self._entries.values()
            if entry.uid not in known
            and entry.version <= version
            and (namespace is None or entry.namespace == namespace)
        ]
        for ghost in ghosts:
            self.remove(ghost.uid, version)
        return ghosts

    def replace(self, manifests: Iterable[Manifest], version: int, namespace: str | None) -> list[Entry]:
        """Take in a complete list and forget what is not in it; return the ghosts."""
        alive = []
        for manifest in manifests:
            self.put(manifest)
            alive.append(manifest["metadata"]["uid"])
        return self.prune(alive, version, namespace)

    def clear(self, namespace: str | None = None) -> None:
        """Forget everything (in one namespace), but not for good: the kind itself is gone, or out of reach."""
        for entry in list(self._entries.values()):
            if namespace is None or entry.namespace == namespace:
                self._drop(entry)

    def reset(self, namespace: str | None = None) -> None:
        """Forget everything (in one namespace), deleted UIDs too: versions start over (a restored cluster)."""
        self.clear(namespace)
        self._tombstones.clear()

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.uid]
        if self._names.get((entry.namespace, entry.name)) == entry.uid:
            del self._names[entry.namespace, entry.name]
        self._disown(entry)
        self._unlabel(entry)
        self._tell(Change(entry, None))

    def _candidates(self, labels: Mapping[str, str]) -> Iterable[Entry]:
        """Return the objects that carry the rarest of these labels; all without labels."""
        if not labels:
            return self._entries.values()
        rarest = min((self._values(name).get(value, ()) for name, value in labels.items()), key=len)
        return [self._entries[uid] for uid in rarest]

    def _values(self, name: str) -> Mapping[str, Collection[str]]:
        """Return the index of a label; made when it is first asked for."""
        if name not in self._labelled:
            values: defaultdict[str, set[str]] = defaultdict(set)
            for entry in self._entries.values():
                if name in entry.labels:
                    values[entry.labels[name]].add(entry.uid)
            self._labelled[name] = values
        return self._labelled[name]

    def _unlabel(self, entry: Entry) -> None:
        for name, values in self._labelled.items():
            if (value := entry.labels.get(name)) is not None and value in values:
                values[value].discard(entry.uid)
                if not values[value]:
                    del values[value]

    def _disown(self, entry: Entry) -> None:
        if entry.owner and (children := self._owned.get(entry.owner)) is not None:
            children.discard(entry.uid)
            if not children:
                del self._owned[entry.owner]

    def _bury(self, uid: str, version: int) -> None:
        now = time.monotonic()
        while self._tombstones and now - next(iter(self._tombstones.values())).buried > TOMBSTONE_SECONDS:
            del self._tombstones[next(iter(self._tombstones))]
        before = self._tombstones.pop(uid, None)
        self._tombstones[uid] = _Tombstone(now, max(version, before.version if before else 0))

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            listener(change)


def _entry(manifest: Manifest, field_manager: str, packer: Packer) -> Entry:
    metadata: dict[str, Any] = dict(manifest["metadata"])
    version = _version(metadata)
    metadata.pop("resourceVersion", None)
    managed = metadata.pop("managedFields", None) or ()
    owner = next((ref for ref in metadata.get("ownerReferences") or () if ref.get("controller")), None)
    annotations = metadata.get("annotations")
    labels = {sys.intern(name): sys.intern(value) for name, value in (metadata.get("labels") or {}).items()}
    namespace = metadata.get("namespace")
    return Entry(
        uid=metadata["uid"],
        namespace=sys.intern(namespace) if namespace else None,
        name=metadata["name"],
        version=version,
        generation=metadata.get("generation", 0),
        deleting="deletionTimestamp" in metadata,
        controller=Owner(sys.intern(owner["kind"]), owner["name"], owner["uid"]) if owner else None,
        labels=labels,
        annotations=hash(frozenset(annotations.items())) if annotations else 0,
        body=packer.pack({**manifest, "metadata": metadata}),
        fields=_applied_fields(managed, field_manager, manifest.get("apiVersion", "")),
    )


def _version(metadata: Mapping[str, Any]) -> int:
    version = metadata.get("resourceVersion", "0")
    return int(version) if version.isdigit() else 0


def _only_status_changed(old: Entry, new: Entry) -> bool:
    """Whether nothing changed that a wanted manifest could name. Kinds without a generation do not tell."""
    return (
        new.generation > 0
        and old.generation == new.generation
        and old.deleting == new.deleting
        and old.controller == new.controller
        and old.labels == new.labels
        and old.annotations == new.annotations
        and old.fields == new.fields
    )


def _applied_fields(managed: Iterable[Mapping[str, Any]], manager: str, api_version: str) -> str | None:
    """Return the fields of our server-side apply, without owner references (their keys are UIDs, never shared)."""
    for item in managed:
        if item.get("manager") == manager and item.get("operation") == "Apply" and not item.get("subresource"):
            if item.get("apiVersion") != api_version:
                return None
            fields = dict(item.get("fieldsV1") or {})
            metadata = {k: v for k, v in (fields.pop("f:metadata", None) or {}).items() if k != "f:ownerReferences"}
            return sys.intern(to_json({**fields, "f:metadata": metadata}).decode())
    return None
