"""Everything that is generated for a project, as a list of files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kopf_sdk.api import CustomResource
from kopf_sdk.generate.chart import chart_name, crd_file_name, crd_template
from kopf_sdk.generate.config import Project
from kopf_sdk.generate.crd import crd_manifests
from kopf_sdk.generate.output import MARK, File, stale
from kopf_sdk.generate.rbac import rules_template, user_roles_template
from kopf_sdk.generate.reference import reference
from kopf_sdk.generate.yaml import to_yaml

__all__ = ["Plan", "crd_size", "plan"]


@dataclass(frozen=True)
class Plan:
    """The files of a project that are generated, and the CRDs in them."""

    files: list[File]
    crds: list[dict[str, Any]]


def plan(project: Project) -> Plan:
    """Return what `kopf-sdk generate` writes. Raises SdkError before anything is written."""
    resources = project.resources()
    crds = crd_manifests(resources)
    files: list[File] = []
    if project.crds is not None:
        written = [
            File(
                project.crds / crd_file_name(crd),
                f"# {MARK} from {_sources(crd, resources)}; do not edit.\n{to_yaml(crd)}",
            )
            for crd in crds
        ]
        files += [*written, *stale(project.crds, written)]
    if project.chart is not None:
        chart, templates = chart_name(project.chart), project.chart / "templates"
        folder = templates / "crds"
        written = [
            File(folder / crd_file_name(crd), crd_template(crd, chart, _sources(crd, resources))) for crd in crds
        ]
        files += [*written, *stale(folder, written)]
        if project.controllers_source is not None:
            from kopf_sdk.runtime.permissions import rules  # noqa: PLC0415  # types alone need no Kopf

            source = project.controllers_source
            files += [
                File(
                    templates / "_rbac.generated.tpl",
                    rules_template(rules(project.controllers()), resources, chart, source),
                ),
                File(templates / "user-roles.yaml", user_roles_template(chart, source)),
            ]
    if project.docs is not None:
        sources = ", ".join(dict.fromkeys(resource.__module__ for resource in resources))
        files.append(File(project.docs, reference(crds, sources)))
    return Plan(files=files, crds=crds)


def crd_size(crd: dict[str, Any]) -> int:
    """Return the bytes that the CRD takes in `kubectl apply`'s annotation."""
    return len(json.dumps(crd, separators=(",", ":"), ensure_ascii=False).encode())


def _sources(crd: dict[str, Any], resources: list[type[CustomResource]]) -> str:
    """Return the modules that a CRD comes from."""
    name = crd["metadata"]["name"]
    return ", ".join(dict.fromkeys(r.__module__ for r in resources if r.definition.name == name))
