"""A rendering becomes a bundle: every object is given exactly one fate, the CSV is put together from what remains.

This is the table of contents of the translation; each step is a module. Nothing here touches a disk or a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kopf_sdk.bundle.chart import Chart
from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.convert.access import place_access, place_hooks
from kopf_sdk.bundle.convert.deployments import pin_images, place_deployments
from kopf_sdk.bundle.convert.draft import Conversion, Draft
from kopf_sdk.bundle.convert.files import place_files, trim, write_crds
from kopf_sdk.bundle.convert.reading import collect, leave_out, prepare
from kopf_sdk.bundle.convert.service_version import check_rules, place_custom_resources, write_csv
from kopf_sdk.bundle.convert.serving import (
    place_certificates,
    place_services,
    place_webhooks_and_apis,
    watch_namespaces,
)
from kopf_sdk.bundle.lock import ImageLock
from kopf_sdk.bundle.metadata import Metadata
from kopf_sdk.bundle.objects import Object
from kopf_sdk.bundle.profile import Profile

__all__ = ["Conversion", "convert"]

_STEPS = (
    prepare,
    leave_out,
    collect,
    place_webhooks_and_apis,
    watch_namespaces,
    place_certificates,
    place_hooks,
    place_access,
    place_services,
    place_deployments,
    pin_images,
    place_custom_resources,
    write_crds,
    place_files,
    write_csv,
    trim,
    check_rules,
)


def convert(
    objects: Sequence[Object],
    *,
    chart: Chart,
    config: Config,
    metadata: Metadata,
    profile: Profile,
    namespace: str = "",
    samples: Mapping[str, str] | None = None,
    lock: ImageLock | None = None,
) -> Conversion:
    """Return the bundle for a rendering.

    Parameters
    ----------
    namespace
        The namespace it was rendered into; "" to find it out.
    samples
        Path → text of the sample files that bundle.yaml names.
    lock
        Digests to pin images to; None to leave references as they are.
    """
    draft = Draft(objects, chart, config, metadata, profile, namespace, dict(samples or {}), lock)
    for step in _STEPS:
        step(draft)
    return draft.result
