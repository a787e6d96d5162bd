"""What the API server calls: webhooks, APIs, their certificates and Services; and which namespaces are watched."""

from __future__ import annotations

from collections.abc import Collection

from kopf_sdk.bundle.api_services import plan_api_services
from kopf_sdk.bundle.certificates import plan_certificates
from kopf_sdk.bundle.convert.draft import Draft
from kopf_sdk.bundle.convert.files import write_file
from kopf_sdk.bundle.fate import Disposition, Level, remedies
from kopf_sdk.bundle.install_modes import follow_target_namespaces, install_modes
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.references import names, pod_strings
from kopf_sdk.bundle.serving import ServingPorts, olm_service_name
from kopf_sdk.bundle.webhooks import plan_webhooks

__all__ = ["place_certificates", "place_services", "place_webhooks_and_apis", "watch_namespaces"]


def place_webhooks_and_apis(draft: Draft) -> None:
    """Turn webhooks and APIServices into their definitions in the CSV."""
    ports = ServingPorts()
    servers = [d.with_data({**d.data, "spec": draft.specs[d.name]}) for d in draft.deployments.values()]
    webhooks = plan_webhooks(draft.all(), servers, draft.namespace.name, ports)
    apis = plan_api_services(draft.all(), servers, draft.namespace.name, draft.config.api_services, draft.profile)
    draft.settle([*webhooks.fates, *apis.fates])
    draft.result.notices += [*webhooks.notices, *apis.notices]
    draft.parts.webhooks, draft.parts.owned_apis = webhooks.definitions, apis.definitions
    draft.backends = [*webhooks.backends, *apis.backends]
    draft.converted = webhooks.converted_crds


def watch_namespaces(draft: Draft) -> None:
    """Let the deployments watch what the OperatorGroup says, and derive the install modes."""
    watch = follow_target_namespaces(draft.specs, draft.config.watch_namespace)
    draft.result.watch = watch
    if watch.problem:
        draft.notice(
            Level.ERROR, "watch-namespace", watch.problem, None, "Compare with the rendering: `helm template`."
        )
    conversion = bool(draft.converted)
    draft.parts.install_modes = install_modes(wish=draft.config.install_modes, watch=watch, conversion=conversion)
    supported = [mode["type"] for mode in draft.parts.install_modes if mode["supported"]]
    if conversion and supported != ["AllNamespaces"]:
        draft.notice(
            Level.ERROR,
            "install-modes",
            "with a conversion webhook OLM installs in mode AllNamespaces only",
            None,
            "Set installModes: [AllNamespaces].",
        )
    if watch.places:
        draft.notice(Level.INFO, "watch-namespace", f"follows OLM's target namespaces: {'; '.join(watch.places)}")


def place_certificates(draft: Draft) -> None:
    """Replace the chart's certificates by the ones that OLM mounts."""
    serving: dict[str, list[str]] = {}
    for backend in draft.backends:
        serving.setdefault(backend.deployment, []).append(backend.service)
    plan = plan_certificates(draft.all(), draft.specs, draft.deployments, serving, draft.rules.mapped)
    draft.settle(plan.fates)
    draft.result.notices += plan.notices


def place_services(draft: Draft) -> None:
    """Leave out Services that OLM makes itself, and keep what else calls them."""
    taken = {olm_service_name(backend.deployment) for backend in draft.backends}
    for service in draft.all("Service"):
        used = {backend.port: backend.deployment for backend in draft.backends if backend.service == service.name}
        if service.name in taken:
            _give_up_name(draft, service, used)
            continue
        if not used:
            continue
        deployment = next(iter(used.values()))
        made = olm_service_name(deployment)
        caller = _caller(draft, service.name, set(used.values()))
        rest = [port for port in service.spec.get("ports") or () if port.get("port") not in used]
        if caller:
            write_file(
                draft, service, f"{caller} names it; webhooks and APIs are called through {made}, which OLM makes"
            )
        elif rest:
            changed = service.with_data({**service.data, "spec": {**service.spec, "ports": rest}})
            reason = f"keeps its other ports; webhooks and APIs are called through {made}, which OLM makes"
            write_file(draft, changed, reason, original=service, disposition=Disposition.TRANSFORMED)
        else:
            draft.fate(service, Disposition.LEFT_OUT, "", f"OLM makes {made} for webhooks and APIs instead")


def _caller(draft: Draft, service: str, behind: set[str]) -> str:
    """Return a deployment that names a Service and does not stand behind it."""
    for name, spec in draft.specs.items():
        if name not in behind and any(names(text, service) for _, text in pod_strings(spec["template"]["spec"])):
            return f"Deployment {name}"
    return ""


def _give_up_name(draft: Draft, service: Object, used: Collection[int]) -> None:
    """Find another way for a Service that is called like one OLM makes."""
    reason = "OLM makes a Service of the same name, for webhooks and APIs"
    if not used:
        drop, *_, values = remedies(service)
        merge = f"{{metadata: {{name: {service.name.removesuffix('-service')}-metrics}}}}"
        rename = f"patches:\n- target: {{kind: Service, name: {service.name}}}\n  merge: {merge}"
        draft.fate(service, Disposition.NO_PLACE, "", reason, (drop, rename, values))
        return
    draft.fate(service, Disposition.LEFT_OUT, "", f"{reason}, instead")
    lost = [str(port.get("port")) for port in service.spec.get("ports") or () if port.get("port") not in used]
    if lost:
        draft.notice(
            Level.WARNING,
            "service-ports",
            f"no Service leads to port {' and '.join(lost)} any more: {reason}",
            service,
            "Set values with which the Service or the Deployment has another name.",
        )
