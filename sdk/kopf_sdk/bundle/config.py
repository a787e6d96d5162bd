"""bundle.yaml: what the bundle needs to say that neither the chart nor its rendering says.

Every field is optional. Later sources win: Chart.yaml, its Artifact Hub annotations, then this file, then flags.

These are plain dataclasses, which pydantic checks when there is a file to check: loading pydantic takes longer than
building a small bundle.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from kopf_sdk.bundle import yaml
from kopf_sdk.errors import SdkError

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "ApiService",
    "CertifiedFeature",
    "Config",
    "CrdDescription",
    "DropRule",
    "Link",
    "Maintainer",
    "MapRule",
    "ObjectPatch",
    "Target",
    "WatchNamespace",
    "load_config",
]

InstallMode = Literal["OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces"]
CertifiedFeature = Literal[
    "disconnected",
    "fips-compliant",
    "proxy-aware",
    "tls-profiles",
    "token-auth-aws",
    "token-auth-azure",
    "token-auth-gcp",
]
"""What a certified OpenShift bundle must say of itself (features.operators.openshift.io)."""
Feature = Literal[CertifiedFeature, "cnf", "cni", "csi"]
Capability = Literal["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"]
MapTarget = Literal[
    "deployment", "file", "cluster-permissions", "permissions", "example", "initialization-resource", "olm-certificate"
]


def key_of(name: str) -> str:
    """Return how a field is written in the file: `default_channel` → `defaultChannel`."""
    if name == "x_descriptors":
        return "x-descriptors"
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


class _Strict:
    """Unknown keys are errors; keys are in camel case."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "alias_generator": key_of}

    def as_written(self) -> dict[str, Any]:
        """Return the fields that say something, under their keys in the file."""
        values = ((key_of(item.name), getattr(self, item.name)) for item in fields(self))  # type: ignore[arg-type]
        return {key: value for key, value in values if value not in (None, "")}


@dataclass(kw_only=True, eq=False, repr=False)
class Target(_Strict):
    """Which rendered objects a rule means. `name` may hold `*`."""

    kind: str
    name: str = "*"
    namespace: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class DropRule(Target):
    """Leave the object out. The reason goes into the report."""

    reason: str


@dataclass(kw_only=True, eq=False, repr=False)
class MapRule(Target):
    """Give the object another place than the builder would."""

    to: MapTarget


@dataclass(kw_only=True, eq=False, repr=False)
class ObjectPatch(_Strict):
    """Change rendered objects before they are placed.

    A JSON merge patch (`merge`) or JSON patch operations (`json`).
    """

    target: Target
    merge: dict[str, Any] | None = None
    json: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if (self.merge is None) == (self.json is None):
            raise ValueError("give either merge or json")


@dataclass(kw_only=True, eq=False, repr=False)
class Maintainer(_Strict):
    name: str
    email: str


@dataclass(kw_only=True, eq=False, repr=False)
class Link(_Strict):
    name: str
    url: str


@dataclass(kw_only=True, eq=False, repr=False)
class Provider(_Strict):
    name: str
    url: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class CrdResource(_Strict):
    """A kind of object that a custom resource leads to; shown on its page. `name` only for custom resources."""

    kind: str
    version: str
    name: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class Descriptor(_Strict):
    path: str
    display_name: str | None = None
    description: str | None = None
    x_descriptors: list[str] | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class CrdDescription(_Strict):
    """Overrides for one owned CRD (key: `plural.group`); descriptors are merged by path with the derived ones."""

    display_name: str | None = None
    description: str | None = None
    resources: list[CrdResource] | None = None
    spec_descriptors: list[Descriptor] = field(default_factory=list)
    status_descriptors: list[Descriptor] = field(default_factory=list)
    internal: bool = False


@dataclass(kw_only=True, eq=False, repr=False)
class RequiredCrd(_Strict):
    name: str
    version: str
    kind: str
    display_name: str = ""
    description: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class ApiService(_Strict):
    """What an APIService object does not tell: the kind it serves and its plural name."""

    kind: str
    name: str
    display_name: str = ""
    description: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class WatchNamespace(_Strict):
    """Where the operator learns which namespaces to watch; mapped to OLM's target namespaces."""

    env: str | None = None
    argument: str | None = None
    value: str | None = None

    def __post_init__(self) -> None:
        if sum(field is not None for field in (self.env, self.argument, self.value)) != 1:
            raise ValueError("give exactly one of env, argument and value")


@dataclass(kw_only=True, eq=False, repr=False)
class Rbac(_Strict):
    """`external_roles`: rules of roles that the chart binds and does not bring, by role name."""

    external_roles: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    other_namespaces: Literal["ask", "cluster-permissions"] = "ask"


@dataclass(kw_only=True, eq=False, repr=False)
class Images(_Strict):
    """`related`: further images by name.

    `exclude`: found strings that are no images. `mirrors`: source prefix → mirror.
    """

    related: dict[str, str] = field(default_factory=dict)
    exclude: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    lock: str | None = None
    mirrors: dict[str, str] = field(default_factory=dict)
    pin: bool = False


@dataclass(kw_only=True, eq=False, repr=False)
class Scorecard(_Strict):
    image: str = "quay.io/operator-framework/scorecard-test:v1.42.2"
    config: str | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class Size(_Strict):
    """What to do near OLM's limit of 1 MiB.

    `auto` shortens descriptions only then, `never` leaves them, `always` drops them.
    """

    trim_descriptions: Literal["auto", "never", "always"] = "auto"


@dataclass(kw_only=True, eq=False, repr=False)
class Config(_Strict):
    """The whole of bundle.yaml."""

    # the package
    package: str | None = None
    version: str | None = None
    channels: list[str] = field(default_factory=list)
    default_channel: str | None = None
    replaces: str | None = None
    skips: list[str] = field(default_factory=list)
    skip_range: str | None = None
    release: str | None = None
    namespace: str | None = None
    # how the chart is rendered
    release_name: str | None = None
    kube_version: str | None = None
    api_versions: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    # what people read
    display_name: str | None = None
    description: str | None = None
    description_file: str | None = None
    summary: str | None = None
    icon: str | None = None
    keywords: list[str] | None = None
    maintainers: list[Maintainer] | None = None
    provider: Provider | None = None
    links: list[Link] | None = None
    categories: list[str] | None = None
    capabilities: Capability | None = None
    maturity: str | None = None
    repository: str | None = None
    support: str | None = None
    container_image: str | None = None
    created_at: str | None = None
    min_kube_version: str | None = None
    # what it can do
    install_modes: list[InstallMode] | None = None
    watch_namespace: WatchNamespace | None = None
    architectures: list[str] | None = None
    operating_systems: list[str] | None = None
    features: dict[Feature, bool] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    # APIs
    crds: dict[str, CrdDescription] = field(default_factory=dict)
    required_crds: list[RequiredCrd] = field(default_factory=list)
    api_services: dict[str, ApiService] = field(default_factory=dict)
    native_apis: list[dict[str, str]] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)
    initialization_resource: str | None = None
    # where objects go
    drop: list[DropRule] = field(default_factory=list)
    map: list[MapRule] = field(default_factory=list)
    patches: list[ObjectPatch] = field(default_factory=list)
    rbac: Rbac = field(default_factory=Rbac)
    images: Images = field(default_factory=Images)
    # beside the CSV
    bundle_annotations: dict[str, str] = field(default_factory=dict)
    dependencies: list[dict[str, Any]] = field(default_factory=list)
    properties: list[dict[str, Any]] = field(default_factory=list)
    scorecard: Scorecard = field(default_factory=Scorecard)
    size: Size = field(default_factory=Size)

    # The file's directory: paths in it are relative to it.
    base: Path = Path()

    def path(self, relative: str) -> Path:
        """Return a path given in the file, relative to the file."""
        return self.base / relative


def load_config(path: Path | None) -> Config:
    """Return the configuration of a file, the empty one for None.

    Raises
    ------
    SdkError
        With the file, the field path and, for an unknown key, the nearest known one.
    """
    if path is None:
        return Config()
    data = yaml.load_file(path)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise SdkError(f"{path}: a mapping is expected, this is a {type(data).__name__}")
    if "base" in data:
        raise SdkError(f"{path}: base: unknown key")
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  # see above

    try:
        config = TypeAdapter(Config).validate_python(data)
    except ValidationError as error:
        raise _explain(error, path) from error
    config.base = path.parent
    return config


def _explain(error: ValidationError, path: Path) -> SdkError:
    lines, hints = [], []
    for problem in error.errors():
        location = _location(problem["loc"])
        if problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            key = str(problem["loc"][-1])
            known = _keys_beside(problem["loc"])
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            lines.append(f"{path}: {location}: unknown key")
            hints.append(f"Did you mean {near[0]!r}?" if near else f"Known keys there: {', '.join(sorted(known))}.")
        else:
            lines.append(f"{path}: {location}: {problem['msg'].removeprefix('Value error, ')}")
    return SdkError(
        "\n".join(lines), hint=" ".join(dict.fromkeys(hints)) or "See docs/bundle.md for the fields of bundle.yaml."
    )


def _location(parts: Iterable[int | str]) -> str:
    text = ""
    for part in parts:
        if part == "[key]":  # pydantic's word for: the key itself, not what it holds
            continue
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Return the known keys of the mapping that holds the last part of a location."""
    model: Any = Config
    inside = False  # of a list or a mapping, whose index or key comes next
    for part in location[:-1]:
        if inside:
            inside = False
            continue
        hints = {key_of(name): hint for name, hint in get_type_hints(model).items()}
        annotation = hints.get(str(part))
        inside = any(get_origin(item) in {list, dict} for item in (annotation, *get_args(annotation)))
        model = _inner(annotation)
        if not is_dataclass(model):
            return []
    return [key_of(item.name) for item in fields(model) if item.name != "base"]


def _inner(annotation: Any) -> Any:
    """Return the model inside of `X | None`, `list[X]`, `dict[str, X]`."""
    while not isinstance(annotation, type) or getattr(annotation, "__args__", None):
        arguments = [item for item in getattr(annotation, "__args__", ()) if item is not type(None)]
        if not arguments:
            return None
        annotation = arguments[-1]
    return annotation
