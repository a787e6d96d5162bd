"""Reading from memory what controllers watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from kopf_sdk.api import CustomResource
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.cache import Change, Entry, Source, Store
from kopf_sdk.runtime.controller import Controller, Watch
from kopf_sdk.runtime.kinds import Kind, Manifest
from kopf_sdk.runtime.reflector import WatchState

__all__ = ["Reader", "Stores"]

R = TypeVar("R", bound=CustomResource)


class Stores:
    """The caches of all watches of the process, and how each watch is doing."""

    def __init__(self) -> None:
        self._stores: dict[tuple[Source, str], Store] = {}
        self.states: dict[tuple[Source, str], list[WatchState]] = {}

    def store(self, source: Source, field_manager: str) -> Store:
        """Return the cache of a source; controllers that apply under the same name share it."""
        return self._stores.setdefault((source, field_manager), Store(source, field_manager))

    def all(self) -> list[Store]:
        """Return every cache."""
        return list(self._stores.values())

    def watched(self, source: Source, field_manager: str) -> list[WatchState]:
        """Return the states of the watches that fill a cache, one per namespace (or one for all)."""
        return self.states.setdefault((source, field_manager), [])


class Reader(Generic[R]):
    """What one controller may read: its resources, its children, what it follows. Never asks the API server."""

    def __init__(self, controller: Controller[R], stores: Stores) -> None:
        self._controller = controller
        manager = controller.field_manager
        self.primary = stores.store(Source(controller.kind), manager)
        self._watches = stores.watched(Source(controller.kind), manager)
        self._sources = {kind: [(controller.owned_source(kind), manager)] for kind in controller.owns}
        for watch in controller.watches:
            self._sources.setdefault(watch.kind, []).append((watch.source, manager))
        self._stores = stores
        # Asked for several times per reconciliation: looked up once.
        self._owned = {kind: stores.store(controller.owned_source(kind), manager) for kind in controller.owns}
        self._kinds = {(kind.api_version, kind.kind): kind for kind in controller.owns}
        self._caches = {kind: [stores.store(*source) for source in sources] for kind, sources in self._sources.items()}
        self._caches[controller.kind] = [self.primary]
        self._states = {
            kind: [stores.watched(*source) for source in sources] for kind, sources in self._sources.items()
        }
        self._typed: dict[str, tuple[int, R | None]] = {}
        """Version and model of resources by UID: a mapping that asks for all of them is called once per event."""
        self.primary.listeners.append(self._forget)

    def resources(self, namespace: str | None = None) -> list[R]:
        """Return the resources (in one namespace) that are valid. They are shared: look, do not touch."""
        found = (self._model(entry) for entry in self.primary.select(namespace, {}))
        return [model for model in found if model is not None]

    def _model(self, entry: Entry) -> R | None:
        version, model = self._typed.get(entry.uid, (-1, None))
        if version != entry.version:
            try:
                model = self._controller.resource.model_validate(entry.manifest())
            except ValidationError:
                model = None
            self._typed[entry.uid] = (entry.version, model)
        return model

    def _forget(self, change: Change) -> None:
        if change.new is None:
            self._typed.pop(change.entry.uid, None)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """Return an object by name; None if it is not there, or not watched by these labels."""
        for store in self._of(kind):
            if (entry := store.get(namespace, name)) is not None:
                return entry.manifest()
        return None

    def select(
        self, kind: Kind, namespace: str | None = None, label_selector: Mapping[str, str] | None = None
    ) -> list[Manifest]:
        """Return the objects of a kind that carry these labels, by name."""
        found = {
            entry.uid: entry
            for store in reversed(self._of(kind))
            for entry in store.select(namespace, label_selector or {})
        }
        return [entry.manifest() for entry in sorted(found.values(), key=lambda entry: entry.key)]

    def owned(self, kind: Kind, uid: str) -> list[Manifest]:
        """Return the objects of an owned kind that the resource with that UID controls, by name."""
        return [entry.manifest() for entry in self.store(kind).owned_by(uid)]

    # What the applier asks (apply.Children).

    def kinds(self) -> tuple[Kind, ...]:
        """Return the owned kinds."""
        return tuple(self._controller.owns)

    def kind_of(self, child: Mapping[str, Any]) -> Kind:
        """Return the declared kind of a child's manifest."""
        kind = self._kinds.get((str(child.get("apiVersion")), str(child.get("kind"))))
        if kind is not None:
            return kind
        raise SdkError(
            f"controller {self._controller.name} does not own {child.get('apiVersion')} {child.get('kind')}",
            hint="Add the kind to `owns`: it must be watched, and the operator needs the right to write it.",
        )

    def store(self, kind: Kind) -> Store:
        """Return the cache of an owned kind."""
        return self._owned[kind]

    def watched(self, watch: Watch) -> Store:
        """Return the cache of a further watch."""
        return self._stores.store(watch.source, self._controller.field_manager)

    def stores(self, kind: Kind) -> list[Store]:
        """Return every cache that may hold objects of a kind."""
        return self._of(kind)

    def doubtful(self, namespace: str | None) -> bool:
        """Whether resources in a namespace may have vanished unseen: not to be acted on before they are compared."""
        return any(state.doubtful for state in self._watches if state.namespace in (None, namespace))

    def absent(self, kind: Kind) -> bool:
        """Whether the cluster does not have the kind."""
        return any(state.absent for states in self._states.get(kind, ()) for state in states)

    def unreadable(self, kind: Kind, namespace: str | None) -> str | None:
        """Why an owned kind cannot be read in a namespace now, if it cannot."""
        for state in self._states[kind][0]:
            if state.namespace in (None, namespace) and not state.synced:
                return state.problem or "the cache is not filled yet"
        return None

    def _of(self, kind: Kind) -> list[Store]:
        caches = self._caches.get(kind)
        if caches is None:
            raise SdkError(
                f"controller {self._controller.name} does not watch {kind}", hint="Declare it in `owns` or `watches`."
            )
        return caches
