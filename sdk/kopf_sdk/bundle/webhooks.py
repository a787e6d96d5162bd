"""Webhook configurations and conversion webhooks of a chart → `webhookdefinitions` of the CSV.

OLM makes the configurations anew from these definitions, with its own Service, CA bundle and namespace selector
(v0: pkg/controller/install/webhook.go). What a definition has no field for is lost, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from kopf_sdk.bundle.fate import Disposition, Fate, Level, Notice, remedies
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.serving import Backend, ServingPorts, find_backend

__all__ = ["WebhookPlan", "forbidden_rule", "plan_webhooks"]

_TYPES = {
    "ValidatingWebhookConfiguration": "ValidatingAdmissionWebhook",
    "MutatingWebhookConfiguration": "MutatingAdmissionWebhook",
}
_COPIED = (
    "failurePolicy",
    "matchPolicy",
    "objectSelector",
    "rules",
    "sideEffects",
    "timeoutSeconds",
    "reinvocationPolicy",
)
_LOST = ("namespaceSelector", "matchConditions")
_LABEL_LIMIT = 63


@dataclass(slots=True, eq=False, repr=False)
class WebhookPlan:
    """The definitions, who serves them through which Service, and what became of the objects."""

    definitions: list[dict[str, Any]] = field(default_factory=list)
    backends: list[Backend] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    converted_crds: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False, repr=False)
class _Rendering:
    """Where webhooks are looked up: Services by namespace and name, workloads, and what is taken already."""

    services: Mapping[tuple[str, str], Object]
    deployments: Collection[Object]
    others: Collection[Object]
    namespace: str
    ports: ServingPorts
    names: set[str] = field(default_factory=set)


def plan_webhooks(
    objects: Collection[Object], deployments: Collection[Object], namespace: str, ports: ServingPorts
) -> WebhookPlan:
    """Return the webhook definitions for the configurations and CRDs among `objects`."""
    plan = WebhookPlan()
    services = {(obj.namespace or namespace, obj.name): obj for obj in by_kind(objects, "Service")}
    others = by_kind(objects, "StatefulSet", "DaemonSet")
    rendering = _Rendering(services, deployments, others, namespace, ports)
    for configuration in by_kind(objects, *_TYPES):
        _admission(plan, configuration, rendering)
    _conversion(plan, by_kind(objects, "CustomResourceDefinition"), rendering)
    return plan


def forbidden_rule(rules: Collection[Mapping[str, Any]]) -> str:
    """Return why OLM refuses a webhook with these rules, "" when it does not (OLM.

    ValidWebhookRules, CheckWebhookRules).
    """
    for rule in rules:
        groups = set(rule.get("apiGroups") or ())
        if "*" in groups:
            return "OLM refuses webhooks for all API groups (*)"
        own = groups & {"operators.coreos.com", "olm.operatorframework.io"}
        if own:
            return f"OLM refuses webhooks for its own API group ({', '.join(sorted(own))})"
        if "admissionregistration.k8s.io" in groups:
            guarded = {"*", "mutatingwebhookconfiguration", "validatingwebhookconfiguration"}
            if any(str(resource).lower().removesuffix("s") in guarded for resource in rule.get("resources") or ()):
                return "OLM refuses webhooks for webhook configurations"
    return ""


def _admission(plan: WebhookPlan, configuration: Object, rendering: _Rendering) -> None:
    kind = _TYPES[configuration.kind]
    definitions: list[tuple[dict[str, Any], Backend]] = []
    for webhook in configuration.data.get("webhooks") or ():
        label = f"webhook {webhook.get('name')}"
        client = webhook.get("clientConfig") or {}
        backend = _backend(client, rendering)
        problem = backend if isinstance(backend, str) else forbidden_rule(webhook.get("rules") or ())
        if problem:
            plan.fates.append(_no_place(configuration, f"{label}: {problem}"))
            return
        assert isinstance(backend, Backend)
        definition: dict[str, Any] = {
            "generateName": _legal_name(str(webhook.get("name", configuration.name)), kind, rendering.names),
            "type": kind,
            "deploymentName": backend.deployment,
            "containerPort": rendering.ports.claim(backend),
            "targetPort": backend.target_port,
            "admissionReviewVersions": list(webhook.get("admissionReviewVersions") or ["v1"]),
            "sideEffects": "None",
        }
        definition.update({key: webhook[key] for key in _COPIED if webhook.get(key) is not None})
        path = (client.get("service") or {}).get("path")
        if path:
            definition["webhookPath"] = path
        definitions.append((definition, backend))
        _report_name(plan, configuration, str(webhook.get("name")), definition["generateName"])
    _report_lost(plan, configuration)
    plan.definitions.extend(definition for definition, _ in definitions)
    plan.backends.extend(backend for _, backend in definitions)
    where = f"spec.webhookdefinitions: {', '.join(definition['generateName'] for definition, _ in definitions)}"
    if not definitions:
        plan.fates.append(_fate(configuration, Disposition.LEFT_OUT, "", "it holds no webhook"))
    else:
        plan.fates.append(
            _fate(configuration, Disposition.CSV, where, "OLM makes the configuration from it, with its own CA bundle")
        )


def _report_name(plan: WebhookPlan, configuration: Object, name: str, generated: str) -> None:
    if generated != name:
        message = (
            f"webhook {name} is called {generated}: OLM needs names that are unique in the CSV, DNS names and at most "
            f"63 characters long"
        )
        plan.notices.append(Notice(Level.INFO, "webhook-renamed", message, configuration.ref))


def _report_lost(plan: WebhookPlan, configuration: Object) -> None:
    """Say which webhooks are asked about more than the chart means, and which of them may lock the operator out."""
    for key in _LOST:
        losing = [webhook for webhook in configuration.data.get("webhooks") or () if webhook.get(key)]
        if not losing:
            continue
        message = (
            f"{key} is lost, a CSV has no field for it; asked about more objects than the chart means: "
            f"{', '.join(str(webhook.get('name')) for webhook in losing)}"
        )
        hint = "Make the operator let through what it does not mean, or use objectSelector, which OLM keeps."
        locked = [str(webhook.get("name")) for webhook in losing if _guards_pods(webhook)]
        if locked:
            hint += (
                f" With failurePolicy Fail nobody can make a pod while the operator is down, not even its own: "
                f"{', '.join(locked)}."
            )
        plan.notices.append(Notice(Level.WARNING, "webhook-selector-lost", message, configuration.ref, hint))


def _guards_pods(webhook: Mapping[str, Any]) -> bool:
    """Say whether no pod can be created, of whatever labels, when this webhook does not answer."""
    return (
        webhook.get("failurePolicy", "Fail") == "Fail"
        and not webhook.get("objectSelector")
        and any(
            {"", "*"} & set(rule.get("apiGroups") or ())
            and {"pods", "*", "*/*"} & set(rule.get("resources") or ())
            and {"CREATE", "*"} & set(rule.get("operations") or ())
            for rule in webhook.get("rules") or ()
        )
    )


def _conversion(plan: WebhookPlan, crds: Collection[Object], rendering: _Rendering) -> None:
    groups: dict[tuple[str, int, str, tuple[str, ...]], list[Object]] = {}
    backends: dict[tuple[str, int], Backend] = {}
    for crd in crds:
        conversion = crd.spec.get("conversion") or {}
        if conversion.get("strategy") != "Webhook":
            continue
        webhook = conversion.get("webhook") or {}
        client = webhook.get("clientConfig") or {}
        backend = _backend(client, rendering)
        if isinstance(backend, str):
            plan.notices.append(
                Notice(
                    Level.ERROR,
                    "conversion-webhook",
                    f"conversion webhook: {backend}",
                    crd.ref,
                    "Set values so that the chart renders its webhook server, or do without conversion:\n"
                    f"patches:\n- target: {{kind: CustomResourceDefinition, name: {crd.name}}}\n"
                    "  merge: {spec: {conversion: {strategy: None, webhook: null}}}",
                )
            )
            continue
        if crd.spec.get("preserveUnknownFields"):
            plan.notices.append(
                Notice(
                    Level.ERROR,
                    "conversion-preserve",
                    "spec.preserveUnknownFields must be false for a conversion webhook",
                    crd.ref,
                    "Patch the CRD.",
                )
            )
        path = (client.get("service") or {}).get("path") or "/"
        versions = tuple(webhook.get("conversionReviewVersions") or ("v1",))
        port = rendering.ports.claim(backend)
        backends[(backend.deployment, port)] = backend
        groups.setdefault((backend.deployment, port, path, versions), []).append(crd)
    for (deployment, port, path, versions), members in groups.items():
        backend = backends[(deployment, port)]
        plural = str((members[0].spec.get("names") or {}).get("plural", "crds"))
        plan.definitions.append(
            {
                "generateName": _legal_name(f"c{plural}.kb.io", "ConversionWebhook", rendering.names),
                "type": "ConversionWebhook",
                "deploymentName": deployment,
                "containerPort": port,
                "targetPort": backend.target_port,
                "admissionReviewVersions": list(versions),
                "sideEffects": "None",
                "webhookPath": path,
                "conversionCRDs": sorted(crd.name for crd in members),
            }
        )
        plan.backends.append(backend)
        plan.converted_crds.update(crd.name for crd in members)


def _backend(client: Mapping[str, Any], rendering: _Rendering) -> Backend | str:
    """Return who answers a webhook's client configuration, or why nobody does."""
    if client.get("url"):
        return f"it is called by URL ({client['url']}); OLM knows only webhooks that one of its deployments serves"
    reference = client.get("service") or {}
    name = str(reference.get("name", ""))
    home = str(reference.get("namespace") or rendering.namespace)
    # Files of crds/ are no templates: a namespace in them is the one that the project has in mind. OLM writes its own.
    service = rendering.services.get((home, name)) or rendering.services.get((rendering.namespace, name))
    if service is None:
        return f"its Service {home}/{name} is not in the rendering"
    port = int(reference.get("port") or 443)
    backend = find_backend(service, port, rendering.deployments)
    if backend is not None:
        return backend
    for other in rendering.others:
        if find_backend(service, port, [other]) is not None:
            return f"Service {name} leads port {port} to {other.kind} {other.name}, and OLM installs Deployments only"
    return f"Service {name} leads port {port} to no Deployment of the rendering"


def _legal_name(wanted: str, kind: str, taken: set[str]) -> str:
    """Return a DNS-1123 subdomain of at most 63 characters that no other definition has, close to the wanted name."""
    base = re.sub(r"[^a-z0-9.-]+", "-", wanted.lower())
    base = re.sub(r"\.[.-]+|-+\.[.-]*", ".", base).strip("-.") or "webhook"
    prefix = {"ValidatingAdmissionWebhook": "validating", "MutatingAdmissionWebhook": "mutating"}.get(
        kind, "conversion"
    )
    numbered = (f"{prefix}-{number}.{base}" for number in count(2))
    name = next(n for n in map(_shorten, chain([base, f"{prefix}.{base}"], numbered)) if n not in taken)
    taken.add(name)
    return name


def _shorten(name: str) -> str:
    """Cut a name to the 63 characters of a label value, a hash of the whole keeping it unique."""
    if len(name) <= _LABEL_LIMIT:
        return name
    import hashlib  # noqa: PLC0415  # few names are that long

    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{digest}-{name[len(name) - _LABEL_LIMIT + len(digest) + 1 :].lstrip('-.')}"


def _no_place(obj: Object, reason: str) -> Fate:
    return _fate(obj, Disposition.NO_PLACE, "", reason, remedies(obj))


def _fate(obj: Object, disposition: Disposition, where: str, reason: str, ways: tuple[str, ...] = ()) -> Fate:
    return Fate(obj.ref, disposition, where, reason, obj.source, ways)
