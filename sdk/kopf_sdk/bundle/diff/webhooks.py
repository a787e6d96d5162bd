"""Webhooks, compared by what they call and what is sent to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kopf_sdk.bundle.compare import differences
from kopf_sdk.bundle.diff.world import WEBHOOKS, World
from kopf_sdk.bundle.fate import Notice
from kopf_sdk.bundle.objects import Object, Ref, by_kind
from kopf_sdk.bundle.serving import find_backend

__all__ = ["compare_webhooks"]


def compare_webhooks(world: World) -> Iterator[Notice]:
    """Compare webhooks one by one: who answers, for which requests, with which policies."""
    before = [item for obj in by_kind(world.rendered, *WEBHOOKS) for item in _called(obj, world.conversion.rendered)]
    after = [item for obj in by_kind(world.cluster, *WEBHOOKS) for item in _called(obj, world.cluster)]
    for kind, webhook, target, ref in before:
        match = next((item for item in after if item[0] == kind and _same_webhook(webhook, item[1])), None)
        if match is None:
            yield world.error(ref, f"webhook {webhook.get('name')} is not in the bundle")
            continue
        after.remove(match)
        if match[2] != target:
            yield world.error(ref, f"webhook {webhook.get('name')} is answered by {match[2]} instead of {target}")
        for difference in differences(_plain(webhook), _plain(match[1])):
            name = "webhook-name" if difference.path == "name" else ""
            name = "webhook-selector" if difference.path.split(".")[0] in {"namespaceSelector"} else name
            name = "webhook-selector" if difference.path.startswith("matchConditions") else name
            yield world.notice(ref, difference, name, f"webhook {webhook.get('name')}, ")
    for _, webhook, _, ref in after:
        yield world.error(ref, f"webhook {webhook.get('name')} is in the bundle, and not in the rendering")


def _same_webhook(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    old = ((before.get("clientConfig") or {}).get("service") or {}).get("path")
    new = ((after.get("clientConfig") or {}).get("service") or {}).get("path")
    return old == new and str(after.get("name")).endswith(str(before.get("name"))[-20:].lower())


def _called(configuration: Object, world: Sequence[Object]) -> list[tuple[str, Mapping[str, Any], str, Ref]]:
    """Return every webhook with the deployment and port that answer it."""
    services = {obj.name: obj for obj in by_kind(world, "Service")}
    deployments = by_kind(world, "Deployment", "StatefulSet", "DaemonSet")
    result = []
    for webhook in configuration.data.get("webhooks") or ():
        reference = (webhook.get("clientConfig") or {}).get("service") or {}
        backend = find_backend(services.get(str(reference.get("name"))), int(reference.get("port") or 443), deployments)
        target = f"{backend.deployment}:{backend.target_port}" if backend else "nobody"
        result.append((configuration.kind, webhook, target, configuration.ref))
    return result


def _plain(webhook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a webhook without its client, with the defaults of the API server filled in."""
    defaults = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10, "sideEffects": "None"}
    return {**defaults, **{key: value for key, value in webhook.items() if key != "clientConfig"}}
