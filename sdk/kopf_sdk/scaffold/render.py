"""A project's description → every file as the templates write it (by copier, into a folder that is thrown away)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kopf_sdk import __version__
from kopf_sdk.api import Definition
from kopf_sdk.errors import SdkError
from kopf_sdk.scaffold.layout import dotted, packages, paths
from kopf_sdk.scaffold.project import Api, Project

__all__ = ["Rendered", "key", "render"]

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Rendered:
    """A file as its template writes it."""

    path: str
    text: str


def render(project: Project) -> dict[str, Rendered]:
    """Return the pristine files of a project.

    The keys name the template and what it is for. They stay the same when a file moves, so that what people wrote into
    it moves with it.
    """
    shared = _shared(project)
    files = {f"project:{path}": Rendered(path, text) for path, text in _copy("project", shared).items()}
    for path, docstring in packages(project).items():
        files[f"package:{path}"] = Rendered(path, f'"""{docstring}"""\n')
    for api in project.apis:
        texts = _copy("api", shared | _of(project, api))
        for name, path in paths(project, api).items():
            files[key(api, name)] = Rendered(path, texts[name])
    return files


def key(api: Api, template: str) -> str:
    """Return the key of a kind's file, whatever its path."""
    return f"{'/'.join(api.key)}:{template}"


def _shared(project: Project) -> dict[str, Any]:
    """Return what every template may use."""
    apis = [_of(project, api) for api in project.apis]
    return {
        "project_name": project.name,
        "domain": project.domain,
        "multigroup": project.multigroup,
        "scope": project.scope,
        "sdk_version": __version__,
        "apis": apis,
        "types": [api for api in apis if api["resource"]],
        "controllers": [api for api in apis if api["controller"]],
        "webhooks": [api for api in apis if api["webhook"]],
        "admission": [api for api in apis if api["defaulting"] or api["validation"]],
    }


def _of(project: Project, api: Api) -> dict[str, Any]:
    """Return what templates may use of a kind."""
    where = paths(project, api)
    versions = [one for one in project.apis if (one.group, one.kind) == (api.group, api.kind) and one.resource]
    stored = versions[0] if versions else api
    dashed = project.group(api).replace(".", "-")
    return {
        "group": project.group(api),
        "version": api.version,
        "kind": api.kind,
        "name": api.module,
        "plural": Definition(group=api.group, version=api.version, kind=api.kind).plural,
        "namespaced": api.namespaced,
        "resource": api.resource,
        "controller": api.controller,
        "webhook": api.webhooks,
        "defaulting": api.defaulting,
        "validation": api.validation,
        "conversion": api.conversion,
        "storage": api == stored,
        "converts": any(one.conversion for one in versions),
        "types_module": dotted(where.get("types.py", "")),
        "controller_module": dotted(where.get("controller.py", "")),
        "webhook_module": dotted(where.get("webhook.py", "")),
        "alias": f"{api.package}_{api.module}" if project.multigroup else api.module,
        "webhook_alias": f"{api.package}_{api.module}_{api.version}"
        if project.multigroup
        else f"{api.module}_{api.version}",
        "sample": where.get("sample.yaml", ""),
        "webhook_path": f"{dashed}-{api.version}-{api.module}",
    }


def _copy(template: str, data: dict[str, Any]) -> dict[str, str]:
    try:
        from copier import run_copy  # noqa: PLC0415  # an extra of the distribution, and slow to import
    except ModuleNotFoundError as error:
        raise SdkError(
            "scaffolding needs the Python package copier, which is not installed",
            hint="pip install 'kopf-sdk[scaffold]'",
        ) from error
    with tempfile.TemporaryDirectory(prefix="kopf-sdk-") as folder:
        run_copy(str(_TEMPLATES / template), folder, data=data, defaults=True, overwrite=True, quiet=True)
        found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}
