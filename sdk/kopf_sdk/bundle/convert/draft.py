"""A bundle while it is made: what is known, what was placed, and what still has no place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.crds import Crd
from kopf_sdk.bundle.csv import CsvParts
from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice
from kopf_sdk.bundle.files import FileNames
from kopf_sdk.bundle.install_modes import WatchPlan
from kopf_sdk.bundle.lock import ImageLock
from kopf_sdk.bundle.metadata import Metadata
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.profile import Profile
from kopf_sdk.bundle.rbac import Access
from kopf_sdk.bundle.references import InstallNamespace
from kopf_sdk.bundle.rules import Rules
from kopf_sdk.bundle.serving import Backend

__all__ = ["Conversion", "Draft", "install_namespace"]


@dataclass(slots=True, eq=False, repr=False)
class Conversion:
    """A bundle in memory. `rendered` are the objects as they came from the chart, patches applied."""

    metadata: Metadata
    profile: Profile
    config: Config
    csv: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    fates: list[Fate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    rendered: list[Object] = field(default_factory=list)
    namespace: str = ""
    install_namespace: InstallNamespace | None = None
    lock: ImageLock = field(default_factory=ImageLock)
    trimmed: set[str] = field(default_factory=set)
    watch: WatchPlan = field(default_factory=WatchPlan)

    @property
    def csv_path(self) -> str:
        return f"manifests/{self.metadata.package}.clusterserviceversion.yaml"

    @property
    def failed(self) -> bool:
        """Whether something stands in the way of a bundle."""
        return any(fate.disposition is Disposition.NO_PLACE for fate in self.fates) or any(
            n.level is Level.ERROR for n in self.notices
        )


@dataclass(slots=True, eq=False, repr=False)
class Draft:
    """What the steps of a translation share. Each takes objects out of `open` by giving them a fate.

    Attributes
    ----------
    open
        Objects without a fate, by identity.
    specs
        The working copies of the deployments' specs, by name.
    """

    objects: Sequence[Object]
    chart: Chart
    config: Config
    metadata: Metadata
    profile: Profile
    known_namespace: str
    samples: dict[str, str]
    lock: ImageLock | None

    rules: Rules = field(init=False)
    result: Conversion = field(init=False)
    namespace: InstallNamespace = field(init=False)
    open: dict[int, Object] = field(default_factory=dict)
    deployments: dict[str, Object] = field(default_factory=dict)
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    crds: list[tuple[Object, Crd]] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    converted: set[str] = field(default_factory=set)
    keep_labels: frozenset[tuple[str, str]] = frozenset()
    access: Access = field(default_factory=Access)
    parts: CsvParts = field(default_factory=CsvParts)
    examples: list[Mapping[str, Any]] = field(default_factory=list)
    file_names: FileNames = field(default_factory=FileNames)
    config_maps: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = Rules(self.config)
        self.result = Conversion(self.metadata, self.profile, self.config)

    def all(self, *kinds: str) -> list[Object]:
        """Return the objects that have no fate yet."""
        return [obj for obj in self.open.values() if not kinds or obj.kind in kinds]

    def fate(
        self, obj: Object, disposition: Disposition, where: str, reason: str = "", ways: tuple[str, ...] = ()
    ) -> None:
        """Say what becomes of an object: nobody else will look at it."""
        self.open.pop(id(obj), None)
        self.result.fates.append(Fate(obj.ref, disposition, where, reason, obj.source, ways))

    def settle(self, fates: Collection[Fate]) -> None:
        """Take over the fates that a plan gave to objects which have none yet."""
        by_ref = {obj.ref: obj for obj in self.open.values()}
        for fate in fates:
            obj = by_ref.pop(fate.ref, None)
            if obj is not None:
                del self.open[id(obj)]
                self.result.fates.append(fate)

    def notice(self, level: Level, code: str, message: str, obj: Object | None = None, hint: str = "") -> None:
        """Tell whoever builds the bundle something."""
        self.result.notices.append(Notice(level, code, message, obj.ref if obj else None, hint))


def install_namespace(objects: Collection[Object], known: str = "") -> InstallNamespace:
    """Return the namespace that a rendering was made for: the known one, else the most frequent one.

    It is distinct when no object, label or package carries the same name.
    """
    if not known:
        counts = Counter(obj.namespace for obj in objects if obj.namespace)
        known = counts.most_common(1)[0][0] if counts else "default"
    words = {obj.name for obj in objects} | {str(value) for obj in objects for value in obj.labels.values()}
    common = {"default", "system", "operator", "operators", "monitoring"}
    return InstallNamespace(known, known not in words and known not in common and len(known) > 3)
