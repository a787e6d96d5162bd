"""What an operator's author writes down: a resource, the function that reconciles it, and what it depends on."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kopf_sdk.api import CustomResource
from kopf_sdk.errors import SdkError
from kopf_sdk.runtime.cache import Source
from kopf_sdk.runtime.kinds import Kind, Manifest
from kopf_sdk.runtime.operator_condition import Hold
from kopf_sdk.runtime.permissions import Permission

if TYPE_CHECKING:
    from kopf_sdk.runtime.reader import Reader
    from kopf_sdk.runtime.request import Request

__all__ = ["Controller", "Result", "Watch", "by_label"]

R = TypeVar("R", bound=CustomResource)
ToKeys = Callable[[Manifest, "Reader[Any]"], Iterable[str]]


@dataclass(frozen=True)
class Result:
    """What a reconcile function returns when it wants to be called again without a change."""

    requeue_after: float = 0.0
    """Seconds; 0 for not at all."""


@dataclass(frozen=True)
class Watch:
    """Objects that are not owned, but whose changes concern resources."""

    kind: Kind
    to_keys: ToKeys
    """Called with the object (after the change, and before it if it was another one) and the cache; returns the
    `namespace/name` of the resources to reconcile."""
    label_selector: str = ""
    """Only objects with these labels, like `app=web,tier!=cache`."""
    metadata_only: bool = False
    """Whether only metadata is fetched and kept: enough to notice a change, and a Secret's content stays away."""
    reason: str = ""
    """Why, for the permissions' documentation."""
    field_selector: str = ""
    """Only objects with these fields, like `regarding.kind=StatefulSet,reason=FailedCreate`; each kind has but a few
    that can be selected by."""

    @property
    def source(self) -> Source:
        """What the watch delivers."""
        return Source(self.kind, self.label_selector, self.metadata_only, self.field_selector)


def by_label(label: str) -> ToKeys:
    """Return a mapping to the resource in the same namespace that a label of the object names."""

    def to_keys(manifest: Manifest, cache: Reader[Any]) -> Iterable[str]:
        name = (manifest["metadata"].get("labels") or {}).get(label)
        return [f"{manifest['metadata']['namespace']}/{name}"] if name else []

    return to_keys


@dataclass(eq=False)
class Controller(Generic[R]):
    """The declaration of a controller: also the source of its RBAC rules (`permissions.rules`).

    Examples
    --------
    >>> controller = Controller(Memcached, reconcile, owns=[Kind("apps/v1", "StatefulSet")])  # doctest: +SKIP
    """

    resource: type[R]
    """The kind to reconcile."""
    reconcile: Callable[[Request[R]], Awaitable[Result | None]]
    """Brings the world to what the resource says. Called with one resource at a time, never twice at once for the same
    one, as often as needed; it must not remember anything between calls that it could not compute."""
    owns: Sequence[Kind] = ()
    """The kinds of the children that `request.apply` makes."""
    watches: Sequence[Watch] = ()
    permissions: Sequence[Permission] = ()
    owned_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that every child gets and by which children are watched: keeps other people's objects out of the cache."""
    gone: Callable[[str], None] | None = None
    """Told the `namespace/name` of a resource that is no more, when it is not being reconciled: the place to forget
    what the process remembers of it. Before that, a resource of the same name may have come."""
    holds_upgrade: Hold | None = None
    """Why OLM should not replace the operator now, told of one resource as it is in the cache (see `Hold`). What must
    not be interrupted is best read from its status."""
    name: str = ""
    """In metrics, logs and as the field manager of server-side apply. Must not change between versions."""

    def __post_init__(self) -> None:
        if not self.name:
            self.name = self.resource.definition.kind.lower()
        self.owns, self.watches, self.permissions = tuple(self.owns), tuple(self.watches), tuple(self.permissions)
        if len(set(self.owns)) != len(self.owns):
            raise SdkError(f"controller {self.name}: a kind is declared as owned twice")

    @functools.cached_property
    def kind(self) -> Kind:
        """The kind of the reconciled resource."""
        return Kind.of(self.resource)

    @property
    def field_manager(self) -> str:
        """The name under which the API server records our fields."""
        return f"{self.name}-controller"

    def owned_source(self, kind: Kind) -> Source:
        """Return what is watched of an owned kind."""
        return Source(kind, ",".join(f"{name}={value}" for name, value in sorted(self.owned_labels.items())))
