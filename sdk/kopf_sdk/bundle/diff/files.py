"""Everything that lies in the bundle as a file, and what pods need of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.compare import ABSENT, Difference, differences
from kopf_sdk.bundle.diff.world import RBAC, WEBHOOKS, World
from kopf_sdk.bundle.fate import Disposition, Notice
from kopf_sdk.bundle.lock import pin_text
from kopf_sdk.bundle.objects import Object, by_kind
from kopf_sdk.bundle.rules import matches

__all__ = ["compare_files", "compare_volumes", "unexplained_objects"]


def compare_files(world: World) -> Iterator[Notice]:
    """Compare the objects that lie in the bundle as they are."""
    there = {(obj.kind, obj.name): obj for obj in world.cluster}
    skipped = {"Deployment", "CustomResourceDefinition", "APIService", *WEBHOOKS, *RBAC}
    by_ref = {fate.ref: fate for fate in world.conversion.fates}
    for obj in world.rendered:
        fate = by_ref[obj.ref]
        if obj.kind in skipped or fate.disposition is not Disposition.FILE:
            continue
        other = there.get((obj.kind, obj.name))
        if other is None:
            yield world.error(obj.ref, "is in the rendering, and not in the bundle")
            continue
        for difference in differences(dict(obj.data), dict(other.data)):
            yield world.notice(obj.ref, difference, _explain_file(world, difference, obj))


def _explain_file(world: World, difference: Difference, obj: Object) -> str:
    path, before, after = difference
    if isinstance(before, str) and pin_text(before, world.conversion.lock) == after:
        return "image-pinned"
    if path == "metadata.namespace":
        return "own-namespace"
    if path.startswith("metadata.labels") and after is ABSENT:
        return "helm-marks"
    if path.startswith("metadata.annotations") and after is ABSENT and ("helm.sh" in path or "cert-manager.io" in path):
        return "helm-marks"
    if path.startswith("metadata.annotations") and after is ABSENT and isinstance(before, Mapping):
        return "helm-marks" if all("helm.sh" in key or "/inject-" in key for key in before) else ""
    if path.startswith("spec.namespaceSelector") and obj.kind in {"ServiceMonitor", "PodMonitor"} and after is ABSENT:
        return "own-namespace"
    return "status" if path.startswith("status") else ""


def compare_volumes(world: World) -> Iterator[Notice]:
    """No pod may wait for a Secret or ConfigMap that Helm would have brought and OLM does not.

    What bundle.yaml drops somebody else brings, as its reason says.
    """
    there = {(obj.kind, obj.name) for obj in world.cluster}
    drops = world.conversion.config.drop
    kept = [obj for obj in world.conversion.rendered if not any(matches(rule, obj) for rule in drops)]
    brought = {(obj.kind, obj.name) for obj in kept}
    certificates = {str(obj.spec.get("secretName")) for obj in by_kind(kept, "Certificate")}
    brought |= {("Secret", name) for name in certificates}
    for obj in by_kind(world.cluster, "Deployment"):
        for volume in obj.spec["template"]["spec"].get("volumes") or ():
            for kind, name in _needs(volume):
                if (kind, name) in brought and (kind, name) not in there:
                    yield world.error(
                        obj.ref,
                        f"volume {volume.get('name')} needs {kind} {name}, which Helm brings and OLM does not",
                    )


def unexplained_objects(world: World) -> Iterator[Notice]:
    """Find objects that OLM would make and Helm does not."""
    known = {(obj.kind, obj.name) for obj in world.conversion.rendered}
    made = {
        (obj.kind, obj.name)
        for obj in by_kind(world.cluster, "Service", "Secret")
        if obj.name.endswith(("-service", "-service-cert"))
    }
    for obj in world.cluster:
        if obj.kind in {"Deployment", "CustomResourceDefinition", "APIService", *WEBHOOKS, *RBAC}:
            continue
        if (obj.kind, obj.name) not in known | made:
            yield world.error(obj.ref, "is in the bundle, and not in the rendering")


def _needs(volume: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for holder in (volume, *((volume.get("projected") or {}).get("sources") or ())):
        secret, config_map = holder.get("secret"), holder.get("configMap")
        if secret:
            yield "Secret", str(secret.get("secretName") or secret.get("name"))
        if config_map:
            yield "ConfigMap", str(config_map.get("name"))
