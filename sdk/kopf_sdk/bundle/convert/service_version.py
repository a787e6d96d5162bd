"""The ClusterServiceVersion, put together from what the steps before it placed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kopf_sdk import __version__
from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.config import CrdDescription
from kopf_sdk.bundle.convert.deployments import own_images
from kopf_sdk.bundle.convert.draft import Draft
from kopf_sdk.bundle.csv import build_csv
from kopf_sdk.bundle.descriptors import describe_crd, related_resources
from kopf_sdk.bundle.examples import collect_examples, examples_json
from kopf_sdk.bundle.fate import Disposition, Level, remedies
from kopf_sdk.bundle.files import without_nulls
from kopf_sdk.bundle.images import find_images, main_image, related_images
from kopf_sdk.bundle.labels import clean_metadata
from kopf_sdk.bundle.layout import bundle_annotations, metadata_files, scorecard_config

__all__ = ["check_rules", "place_custom_resources", "write_csv"]


def place_custom_resources(draft: Draft) -> None:
    """Make examples of custom resources where bundle.yaml says so; OLM creates none."""
    owned = {(crd.group, crd.kind) for _, crd in draft.crds}
    for obj in draft.all():
        if (obj.group, obj.kind) not in owned:
            continue
        place = draft.rules.mapped(obj)
        if place in {"example", "initialization-resource"}:
            resource = without_nulls({**obj.data, "metadata": clean_metadata(obj.metadata)})
            if place == "example":
                draft.examples.append(resource)
                draft.fate(
                    obj, Disposition.TRANSFORMED, "alm-examples", "bundle.yaml: an example; OLM does not create it"
                )
            elif draft.parts.initialization_resource:
                reason = "bundle.yaml makes another one the initialization resource, and there can be only one"
                draft.fate(obj, Disposition.NO_PLACE, "", reason, remedies(obj, "example"))
            else:
                draft.parts.initialization_resource = json.dumps(resource, indent=2, ensure_ascii=False)
                where = "operatorframework.io/initialization-resource"
                draft.fate(
                    obj,
                    Disposition.TRANSFORMED,
                    where,
                    "bundle.yaml: the console asks for it after the installation",
                )
        else:
            reason = "a custom resource of the operator's own: OLM installs the operator, not what it manages"
            draft.fate(obj, Disposition.NO_PLACE, "", reason, remedies(obj, "initialization-resource", "example"))


def write_csv(draft: Draft) -> None:
    """Describe the APIs, and write CSV, annotations and scorecard configuration."""
    rules = [
        rule
        for table in (draft.access.permissions, draft.access.cluster_permissions)
        for rs in table.values()
        for rule in rs
    ]
    hub = {str(item.get("name")): item for item in draft.metadata.hub_crds}
    for _, crd in sorted(draft.crds, key=lambda pair: pair[1].name):
        override = draft.config.crds.get(crd.name) or _from_hub(hub.get(crd.name))
        for version in crd.served:
            draft.parts.owned_crds.append(describe_crd(crd, version, override, related_resources(crd, rules)))
    draft.parts.permissions = draft.access.permissions
    draft.parts.cluster_permissions = draft.access.cluster_permissions
    _images(draft)
    _examples(draft)
    draft.parts.builder = f"kopf-sdk-v{__version__}"
    draft.result.csv = build_csv(draft.metadata, draft.config, draft.parts)
    draft.result.annotations = bundle_annotations(draft.metadata, draft.config, draft.parts.builder)
    draft.result.files[draft.result.csv_path] = yaml.dump(draft.result.csv)
    draft.result.files.update(metadata_files(draft.result.annotations, draft.config))
    draft.result.files["tests/scorecard/config.yaml"] = scorecard_config(draft.config)
    draft.result.notices += draft.metadata.notices
    position = {obj.ref: number for number, obj in reversed(list(enumerate(draft.result.rendered)))}
    draft.result.fates.sort(key=lambda fate: position[fate.ref])


def _images(draft: Draft) -> None:
    found = find_images(draft.specs, draft.config_maps, draft.config.images.patterns)
    given = {**draft.metadata.hub_images, **draft.config.images.related}
    draft.parts.related_images = related_images(found, given, draft.config.images.exclude)
    version = draft.chart.text("appVersion")
    draft.parts.container_image = main_image(own_images(draft), draft.metadata.package, version)


def _examples(draft: Draft) -> None:
    crds = [crd for _, crd in draft.crds]
    named = collect_examples(crds, draft.samples, draft.examples, strict=True)
    found = collect_examples(crds, draft.chart.samples, draft.metadata.hub_examples, strict=False)
    kinds = {(item["apiVersion"], item["kind"]) for item in named.resources}
    extra = [item for item in found.resources if (item["apiVersion"], item["kind"]) not in kinds]
    draft.result.notices += [*named.notices, *found.notices]
    draft.parts.examples = examples_json([*named.resources, *extra])
    if draft.config.initialization_resource is not None:
        path = draft.config.path(draft.config.initialization_resource)
        draft.parts.initialization_resource = json.dumps(yaml.load_file(path), indent=2, ensure_ascii=False)


def check_rules(draft: Draft) -> None:
    """Report rules of bundle.yaml that no object needed: most likely they are misspelt."""
    for rule in draft.rules.unused():
        draft.notice(
            Level.ERROR,
            "rule-unused",
            f"bundle.yaml: {rule} means no rendered object",
            None,
            "Correct its kind and name, or remove it.",
        )
    known = {crd.name for _, crd in draft.crds}
    for name in draft.config.crds:
        if name not in known:
            draft.notice(
                Level.ERROR,
                "crd-unknown",
                f"bundle.yaml: crds.{name}: the chart has no such CRD",
                None,
                f"It has: {', '.join(sorted(known)) or 'none'}.",
            )


def _from_hub(item: Mapping[str, Any] | None) -> CrdDescription:
    if not item:
        return CrdDescription()
    return CrdDescription(display_name=item.get("displayName") or None, description=item.get("description") or None)
