"""Deployments go into the CSV, with images pinned where there is a lock."""

from __future__ import annotations

from typing import Any

from kopf_sdk.bundle.convert.draft import Draft
from kopf_sdk.bundle.convert.files import report_namespace
from kopf_sdk.bundle.fate import Disposition, Level
from kopf_sdk.bundle.images import find_images
from kopf_sdk.bundle.labels import clean_metadata
from kopf_sdk.bundle.lock import pin_text
from kopf_sdk.bundle.references import expand_in_pod
from kopf_sdk.bundle.serving import olm_service_name

__all__ = ["own_images", "pin_images", "place_deployments"]


def place_deployments(draft: Draft) -> None:
    """Write the deployments as the CSV holds them."""
    for number, (name, obj) in enumerate(draft.deployments.items()):
        spec = draft.specs[name]
        services = {b.service: olm_service_name(name) for b in draft.backends if b.deployment == name}
        changes = expand_in_pod(spec["template"]["spec"], draft.namespace, services)
        for change in changes:
            draft.notice(Level.INFO, "pod-text", change, obj)
        report_namespace(draft, obj, spec, "spec")
        metadata = clean_metadata(obj.metadata, frozenset())
        lost = sorted(metadata.get("annotations") or ())
        if lost:
            draft.notice(
                Level.WARNING,
                "deployment-annotations",
                f"annotations of the Deployment are lost, a CSV has no field for them: {', '.join(lost)}",
                obj,
            )
        entry: dict[str, Any] = {"name": name}
        if metadata.get("labels"):
            entry["label"] = metadata["labels"]
        entry["spec"] = spec
        draft.parts.deployments.append(entry)
        where = f"spec.install.spec.deployments[{number}]"
        if obj.kind == "Deployment":
            draft.fate(obj, Disposition.CSV, where)
        else:
            draft.fate(obj, Disposition.TRANSFORMED, where, "bundle.yaml: becomes a Deployment")


def pin_images(draft: Draft) -> None:
    """Refer to images by the digests of the lock file, and say which of them it lacks."""
    if draft.lock is None:
        return
    draft.result.lock = draft.lock
    found = {image.reference for image in find_images(draft.specs, {}, draft.config.images.patterns)}
    for reference in draft.lock.missing(found - set(draft.config.images.exclude)):
        hint = "Lock it: kopf-sdk bundle images lock"
        draft.notice(Level.ERROR, "image-lock", f"image {reference} is not in the lock file", None, hint)
    platforms = [platform.partition("/") for platform in draft.lock.common_platforms(own_images(draft))]
    draft.parts.operating_systems = sorted({system for system, _, _ in platforms})
    draft.parts.architectures = sorted({arch for _, _, arch in platforms})
    for entry in draft.parts.deployments:
        entry["spec"] = pin_text(entry["spec"], draft.lock)
        draft.specs[entry["name"]] = entry["spec"]


def own_images(draft: Draft) -> list[str]:
    """Return the images of the deployments' containers, in order."""
    pods = [spec["template"]["spec"] for spec in draft.specs.values()]
    return [str(container.get("image", "")) for pod in pods for container in pod.get("containers") or ()]
