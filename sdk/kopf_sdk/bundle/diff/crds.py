"""CustomResourceDefinitions: the same schema, owned by the CSV."""

from __future__ import annotations

from collections.abc import Iterator

from kopf_sdk.bundle.compare import ABSENT, differences
from kopf_sdk.bundle.diff.world import World
from kopf_sdk.bundle.fate import Notice
from kopf_sdk.bundle.objects import by_kind

__all__ = ["compare_crds"]


def compare_crds(world: World) -> Iterator[Notice]:
    """Compare the specs of CRDs; descriptions may be missing only where they were trimmed."""
    there = {obj.name: obj for obj in by_kind(world.cluster, "CustomResourceDefinition")}
    owned = {str(entry.get("name")) for entry in world.bundle.owned}
    for obj in by_kind(world.rendered, "CustomResourceDefinition"):
        other = there.pop(obj.name, None)
        if other is None:
            yield world.error(obj.ref, "is in the rendering, and not in the bundle")
            continue
        if obj.name not in owned:
            yield world.error(obj.ref, "is in the bundle, and the CSV does not own it")
        if obj.spec == other.spec:
            continue
        for difference in differences(obj.spec, other.spec, "spec"):
            conversion = difference.path.startswith("spec.conversion.webhook.clientConfig")
            trimmed = difference.after is ABSENT and difference.path.endswith(".description")
            name = (
                "conversion-client"
                if conversion
                else "descriptions"
                if trimmed and obj.name in world.conversion.trimmed
                else ""
            )
            if name != "descriptions":
                yield world.notice(obj.ref, difference, name)
    for name in sorted(there):
        yield world.error(there[name].ref, "is in the bundle, and not in the rendering")
