"""The PROJECT file: what a scaffolded project is called, which kinds it has, and where their files are.

The format is that of kubebuilder and operator-sdk (version 3), with a layout of its own: `python.kopf.dev/v1`.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from kopf_sdk.errors import SdkError

__all__ = ["FILE", "LAYOUT", "TAKEN", "Api", "Project", "Scope", "load", "to_text"]

FILE = "PROJECT"
LAYOUT = "python.kopf.dev/v1"

Scope = Literal["cluster", "namespace"]

_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_GROUP = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")
_VERSION = re.compile(r"v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
TAKEN = frozenset(
    {
        *("Annotated", "Condition", "CustomResource", "ListMap", "Model", "PrinterColumn"),
        *("Controller", "DEPLOYMENT", "Kind", "Request", "Result"),
        *("Defaulting", "DeniedError", "Manifest", "Sequence", "Validating", "Webhook"),
        *("Path", "SAMPLE"),
    }
)
"""Names that the modules of a kind give to something else."""


@dataclass(frozen=True)
class Api:
    """One version of a kind."""

    group: str
    """The first part of the API group, before the project's domain."""
    version: str
    kind: str
    namespaced: bool = True
    resource: bool = True
    """Whether the type is defined here."""
    controller: bool = False
    defaulting: bool = False
    validation: bool = False
    conversion: bool = False

    def __post_init__(self) -> None:
        """Refuse names that Kubernetes or Python would refuse."""
        if not _GROUP.fullmatch(self.group):
            raise SdkError(
                f"--group {self.group!r} is no group",
                hint="lower-case letters, digits and '-', starting with a letter, like cache",
            )
        if not _VERSION.fullmatch(self.version):
            raise SdkError(f"--version {self.version!r} is no version", hint="write it like v1alpha1, v1beta2 or v1")
        if not _KIND.fullmatch(self.kind):
            raise SdkError(f"--kind {self.kind!r} is no kind", hint="write it in CamelCase, like Memcached")
        if self.kind in TAKEN:
            raise SdkError(
                f"--kind {self.kind}: the modules of a kind have another use for this name",
                hint=f"choose another name, like App{self.kind}",
            )
        if keyword.iskeyword(self.module) or keyword.iskeyword(self.package):
            raise SdkError(
                f"{self.group}/{self.kind}: a word of Python cannot name a module", hint="choose another name"
            )

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it apart from the others."""
        return self.group, self.version, self.kind

    @property
    def module(self) -> str:
        """The name of its Python modules."""
        return self.kind.lower()

    @property
    def package(self) -> str:
        """The group as the name of a Python package."""
        return re.sub(r"[^a-z0-9]", "_", self.group)

    @property
    def webhooks(self) -> bool:
        """Whether it has any webhook."""
        return self.defaulting or self.validation or self.conversion


@dataclass(frozen=True)
class Project:
    """Everything the files of a project follow from."""

    name: str
    domain: str
    multigroup: bool = False
    scope: Scope = "cluster"
    apis: tuple[Api, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse names that Kubernetes would refuse."""
        if not _LABEL.fullmatch(self.name) or len(self.name) > 40:
            raise SdkError(
                f"--name {self.name!r} is no name for a project",
                hint="at most 40 lower-case letters, digits and '-', starting with a letter, like memcached-operator",
            )
        if not _DOMAIN.fullmatch(self.domain) or len(self.domain) > 200:
            raise SdkError(f"--domain {self.domain!r} is no domain", hint="write it like example.com")

    def find(self, group: str, version: str, kind: str) -> Api | None:
        """Return a kind of the project, or None."""
        return next((api for api in self.apis if api.key == (group, version, kind)), None)

    def group(self, api: Api) -> str:
        """Return the full API group of a kind, like `cache.example.com`."""
        return f"{api.group}.{self.domain}"

    def with_api(self, api: Api) -> Project:
        """Return the project with a kind added, or replaced."""
        others = [one for one in self.apis if one.key != api.key]
        position = next((index for index, one in enumerate(self.apis) if one.key == api.key), len(others))
        return replace(self, apis=(*others[:position], api, *others[position:]))


def load(root: Path) -> Project:
    """Read the PROJECT file of a folder.

    Raises
    ------
    SdkError
        There is none, or it is not one of ours.
    """
    source = root / FILE
    try:
        document = yaml.safe_load(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SdkError(f"{source} does not exist", hint="run 'kopf-sdk init' in an empty folder first") from error
    except yaml.YAMLError as error:
        raise SdkError(f"{source} is no YAML: {error}", hint="correct the line named") from error
    if not isinstance(document, dict) or LAYOUT not in (document.get("layout") or []):
        raise SdkError(f"{source}: layout is not {LAYOUT}", hint="this project was not made by kopf-sdk")
    try:
        apis = tuple(_api(entry) for entry in document.get("resources") or [])
        return Project(
            name=str(document["projectName"]),
            domain=str(document["domain"]),
            multigroup=bool(document.get("multigroup", False)),
            scope="namespace" if document.get("scope") == "namespace" else "cluster",
            apis=apis,
        )
    except KeyError as error:
        raise SdkError(f"{source}: {error.args[0]} is missing", hint="restore it from version control") from error
    except (AttributeError, TypeError) as error:
        raise SdkError(
            f"{source}: resources is no list of kinds as kopf-sdk writes it", hint="restore it from version control"
        ) from error
    except SdkError as error:
        raise SdkError(f"{source}: {error.message}", hint=error.hint) from error


def to_text(project: Project) -> str:
    """Return the PROJECT file."""
    document: dict[str, Any] = {"domain": project.domain, "layout": [LAYOUT]}
    if project.multigroup:
        document["multigroup"] = True
    document["projectName"] = project.name
    if project.apis:
        document["resources"] = [_entry(project, api) for api in project.apis]
    if project.scope != "cluster":
        document["scope"] = project.scope
    document["version"] = "3"
    return yaml.safe_dump(document, sort_keys=False)


def _api(entry: dict[str, Any]) -> Api:
    hooks = entry.get("webhooks") or {}
    return Api(
        group=entry["group"],
        version=entry["version"],
        kind=entry["kind"],
        namespaced=bool((entry.get("api") or {}).get("namespaced", "api" not in entry)),
        resource="api" in entry,
        controller=bool(entry.get("controller", False)),
        defaulting=bool(hooks.get("defaulting", False)),
        validation=bool(hooks.get("validation", False)),
        conversion=bool(hooks.get("conversion", False)),
    )


def _entry(project: Project, api: Api) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    if api.resource:
        entry["api"] = {"crdVersion": "v1"} | ({"namespaced": True} if api.namespaced else {})
    if api.controller:
        entry["controller"] = True
    entry |= {"domain": project.domain, "group": api.group, "kind": api.kind, "version": api.version}
    hooks = {name: True for name in ("conversion", "defaulting", "validation") if getattr(api, name)}
    if hooks:
        entry["webhooks"] = hooks | {"webhookVersion": "v1"}
    return entry
