"""APIService objects of a chart → `apiservicedefinitions.owned` of the CSV. OLM v0 only; OLM v1 has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.config import ApiService
from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice, remedies
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.profile import Profile
from kopf_sdk.bundle.serving import Backend, find_backend

__all__ = ["ApiServicePlan", "plan_api_services"]

# The kinds behind well-known aggregated APIs; an APIService object itself tells only group and version.
_KNOWN = {
    "metrics.k8s.io": ApiService(kind="PodMetrics", name="pods"),
    "custom.metrics.k8s.io": ApiService(kind="MetricValueList", name="metrics"),
    "external.metrics.k8s.io": ApiService(kind="ExternalMetricValueList", name="metrics"),
}


@dataclass(slots=True, eq=False, repr=False)
class ApiServicePlan:
    """The definitions, who serves them, and what became of the objects."""

    definitions: list[dict[str, Any]] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def plan_api_services(
    objects: Collection[Object],
    deployments: Collection[Object],
    namespace: str,
    known: Mapping[str, ApiService],
    profile: Profile,
) -> ApiServicePlan:
    """Return the API definitions for the APIService objects among `objects`."""
    plan = ApiServicePlan()
    services = {obj.name: obj for obj in by_kind(objects, "Service") if obj.namespace in {namespace, ""}}
    for api in by_kind(objects, "APIService"):
        reference = api.spec.get("service")
        if not reference:
            _no_place(plan, api, "it is served by the API server itself, which no bundle can say")
            continue
        group, version = str(api.spec.get("group", "")), str(api.spec.get("version", ""))
        description = known.get(api.name) or _KNOWN.get(group)
        if not profile.api_services:
            _no_place(plan, api, f"{profile.title} installs no bundles with aggregated APIs")
            continue
        backend = find_backend(services.get(str(reference.get("name"))), int(reference.get("port") or 443), deployments)
        if backend is None:
            _no_place(plan, api, f"Service {reference.get('name')} leads to no Deployment of the rendering")
            continue
        if description is None:
            drop, *_ = remedies(api)
            lines = f"apiServices:\n  {api.name}: {{kind: TheKind, name: itsplural}}"
            reason = "the CSV must name the kind that it serves, which the object does not tell"
            plan.fates.append(
                Fate(api.ref, Disposition.NO_PLACE, "", reason, api.source, (drop, lines, remedies(api)[-1]))
            )
            continue
        entry = {
            "group": group,
            "version": version,
            "kind": description.kind,
            "name": description.name,
            "displayName": description.display_name or description.kind,
            "description": description.description or f"Aggregated API {group}/{version}.",
            "deploymentName": backend.deployment,
            "containerPort": backend.target_port,
        }
        plan.definitions.append(entry)
        plan.backends.append(backend)
        plan.fates.append(
            Fate(
                api.ref,
                Disposition.CSV,
                f"spec.apiservicedefinitions.owned: {api.name}",
                "OLM makes the APIService from it",
                api.source,
            )
        )
        for key, given, made in (
            ("groupPriorityMinimum", api.spec.get("groupPriorityMinimum"), 2000),
            ("versionPriority", api.spec.get("versionPriority"), 15),
        ):
            if given is not None and given != made:
                plan.notices.append(
                    Notice(
                        Level.WARNING,
                        "apiservice-priority",
                        f"{key} becomes {made}, the chart says {given}: OLM's values are fixed",
                        api.ref,
                    )
                )
    return plan


def _no_place(plan: ApiServicePlan, api: Object, reason: str) -> None:
    plan.fates.append(Fate(api.ref, Disposition.NO_PLACE, "", reason, api.source, remedies(api)))
