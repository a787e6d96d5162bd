"""What a reconcile function gets: one resource, the cache around it, and the few ways to act."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from kopf_sdk.api import CustomResource, Model
from kopf_sdk.runtime.apply import Applied, Applier
from kopf_sdk.runtime.client import MERGE_PATCH, UNCHECKED, Client
from kopf_sdk.runtime.errors import NotFoundError
from kopf_sdk.runtime.events import Recorder
from kopf_sdk.runtime.kinds import Kind, Manifest, object_key
from kopf_sdk.runtime.reader import Reader
from kopf_sdk.runtime.status import merged_status, status_patch

__all__ = ["Request"]

R = TypeVar("R", bound=CustomResource)


class Request(Generic[R]):
    """One call of a reconcile function.

    Everything read comes from memory and is a private copy. Everything written is remembered at once: what is read
    after a write is never older than that write.
    """

    def __init__(
        self,
        resource: R,
        manifest: Manifest,
        *,
        cache: Reader[R],
        applier: Applier,
        recorder: Recorder,
        client: Client,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.resource = resource
        """The resource, validated."""
        self.manifest = manifest
        """The resource as the API server sent it."""
        self.cache = cache
        self.client = client
        """For requests that nothing else covers; they need a `Permission`."""
        self.has_problems = False
        """Whether the last `apply` left children that are not as they should be; the queue then tries again later."""
        self._applier = applier
        self._recorder = recorder
        self._now = now

    @property
    def namespace(self) -> str | None:
        """The resource's namespace."""
        namespace: str | None = self.manifest["metadata"].get("namespace")
        return namespace

    @property
    def name(self) -> str:
        """The resource's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def uid(self) -> str:
        """The resource's UID."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return object_key(self.namespace, self.name)

    def owned(self, kind: Kind) -> list[Manifest]:
        """Return the children of a kind, by name."""
        return self.cache.owned(kind, self.uid)

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest | None:
        """Return an object of a watched kind; the namespace is the resource's unless given."""
        return self.cache.get(kind, name, (namespace or self.namespace) if kind.namespaced else None)

    def list(
        self, kind: Kind, *, label_selector: Mapping[str, str] | None = None, namespace: str | None = None
    ) -> list[Manifest]:
        """Return the objects of a watched kind with these labels; the namespace is the resource's unless given."""
        return self.cache.select(kind, (namespace or self.namespace) if kind.namespaced else None, label_selector)

    def available(self, kind: Kind) -> bool:
        """Whether the cluster has an (optional) kind."""
        return not self.cache.absent(kind)

    async def apply(self, children: Iterable[Mapping[str, Any]]) -> Applied:
        """Make the resource's children exactly these.

        Parameters
        ----------
        children
            Plain manifests: apiVersion, kind, metadata.name, and whatever is wanted. Namespace and owner reference are
            added. Applied all at once, only kinds that run pods (Deployment, Job, …) after the others. Children of
            owned kinds that are not among them are deleted.

        Returns
        -------
        Applied
            What was written, and what could not be: objects of others under these names, manifests the API server
            refuses. Optional kinds that the cluster lacks are skipped.

        Raises
        ------
        ApiError
            If trying again will help. Let it pass: the queue tries again with backoff.
        """
        applied = await self._applier.apply(self.manifest, children)
        self.has_problems = bool(applied.problems)
        return applied

    async def update_status(self, status: Model | Mapping[str, Any]) -> bool:
        """Write the status, if it differs; return whether it did.

        Conditions get `lastTransitionTime` and `observedGeneration`. What the status does not contain is removed.
        """
        live = self.manifest.get("status") or {}
        wanted = merged_status(status, live, self.resource.metadata.generation, self._now())
        patch = status_patch(wanted, live)
        if not patch:
            return False
        body = {"metadata": {"uid": self.uid}, "status": patch}
        try:
            answer = await self.patch(self.manifest, body, subresource="status")
        except NotFoundError:
            return False  # deleted meanwhile
        self.manifest["status"] = answer.get("status") or {}
        return True

    async def patch(self, target: Manifest, patch: Mapping[str, Any], *, subresource: str = "") -> Manifest:
        """Send a JSON merge patch to this very object (its UID is the precondition) and return the result.

        For what server-side apply is not meant for, like a pod's `resize` subresource. Needs a `Permission`.
        """
        kind = self._kind(target)
        metadata = target["metadata"]
        body = {**patch, "metadata": {**patch.get("metadata", {}), "uid": metadata["uid"]}}
        path = kind.path(metadata.get("namespace"), metadata["name"], subresource)
        answer = await self.client.request("PATCH", path, params=UNCHECKED, body=body, content_type=MERGE_PATCH)
        for store in self.cache.stores(kind):
            # Some subresources answer with another kind (`scale`).
            if metadata["uid"] in store and not store.source.metadata_only and answer.get("kind") == kind.kind:
                store.put(answer)
        return answer

    async def delete(self, target: Manifest, *, grace_seconds: int | None = None) -> None:
        """Delete this very object, not a later one of the same name. That it is gone already is fine."""
        kind = self._kind(target)
        metadata = target["metadata"]
        options: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": metadata["uid"]}}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        stores = [store for store in self.cache.stores(kind) if metadata["uid"] in store]
        try:
            answer = await self.client.request(
                "DELETE", kind.path(metadata.get("namespace"), metadata["name"]), body=options
            )
        except NotFoundError:
            answer = {}
        for store in stores:
            if answer.get("kind") == kind.kind and "deletionTimestamp" in answer["metadata"]:
                if not store.source.metadata_only:
                    store.put(answer)
            else:
                store.remove(metadata["uid"])

    def event(self, type_: str, reason: str, message: str, *, action: str = "Reconcile") -> None:
        """Tell people about the resource (`kubectl describe`). Repeated ones are counted, too many are dropped.

        Parameters
        ----------
        type_
            `Normal` or `Warning`.
        reason
            Why, as one CamelCase word.
        message
            What happened, in a sentence.
        action
            What was being done, as one CamelCase word.
        """
        self._recorder.record(self.manifest, type_, reason, message, action)

    def _kind(self, target: Manifest) -> Kind:
        wanted = Kind.of_manifest(target)
        return next((store.source.kind for store in self.cache.stores(wanted)), wanted)
