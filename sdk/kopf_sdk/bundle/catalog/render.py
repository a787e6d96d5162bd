"""A bundle directory as an olm.bundle blob.

What `opm render` makes of it (operator-registry `alpha/action/render.go`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Literal

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.catalog.model import Blob
from kopf_sdk.bundle.references import containers
from kopf_sdk.errors import SdkError

__all__ = ["Level", "image_reference", "package_icon", "render_bundle"]

# How the catalog carries the bundle's content. OpenShift 4.17 and later take csv-metadata only.
Level = Literal["csv-metadata", "bundle-object"]
_CSV_FIELDS = (
    ("apiServiceDefinitions", "apiservicedefinitions"),
    ("crdDescriptions", "customresourcedefinitions"),
    ("description", "description"),
    ("displayName", "displayName"),
    ("installModes", "installModes"),
    ("keywords", "keywords"),
    ("links", "links"),
    ("maintainers", "maintainers"),
    ("maturity", "maturity"),
    ("minKubeVersion", "minKubeVersion"),
    ("nativeAPIs", "nativeAPIs"),
    ("provider", "provider"),
)


def image_reference(template: str, bundle: Bundle) -> str:
    """Return the reference of a bundle's image: `{package}`, `{name}` and `{version}` stand for the bundle's own."""
    try:
        return template.format(package=bundle.package, name=bundle.name, version=bundle.spec.get("version"))
    except (KeyError, IndexError, ValueError) as error:
        raise SdkError(
            f"image template {template!r}: {error} is unknown", hint="Known: {package}, {name}, {version}."
        ) from error


def render_bundle(bundle: Bundle, image: str, level: Level) -> Blob:
    """Return the olm.bundle blob of a bundle whose image has the reference `image`."""
    if not bundle.csv or not bundle.package:
        raise SdkError(
            f"{bundle.directory}: no CSV, or no package in metadata/annotations.yaml",
            hint="Check it: kopf-sdk bundle validate",
        )
    properties = [*_provided(bundle), *_required(bundle), *_content(bundle, level)]
    properties.sort(key=lambda item: (str(item["type"]), json.dumps(item["value"], sort_keys=True)))
    return {
        "schema": "olm.bundle",
        "name": bundle.name,
        "package": bundle.package,
        "image": image,
        "properties": properties,
        "relatedImages": _related_images(bundle, image),
    }


def package_icon(bundle: Bundle) -> Mapping[str, str] | None:
    """Return the icon for the olm.package blob."""
    icons = bundle.spec.get("icon") or ()
    return {"base64data": icons[0]["base64data"], "mediatype": icons[0]["mediatype"]} if icons else None


def _provided(bundle: Bundle) -> list[Blob]:
    version = str(bundle.spec.get("version"))
    properties: list[Blob] = [{"type": "olm.package", "value": {"packageName": bundle.package, "version": version}}]
    apis = (bundle.spec.get("apiservicedefinitions") or {}).get("owned") or ()
    gvks = [_crd_gvk(owned) for owned in bundle.owned]
    gvks += [{"group": api.get("group"), "kind": api.get("kind"), "version": api.get("version")} for api in apis]
    for gvk in gvks:
        item = {"type": "olm.gvk", "value": gvk}
        if item not in properties:
            properties.append(item)
    return properties


def _required(bundle: Bundle) -> list[Blob]:
    required = (bundle.spec.get("customresourcedefinitions") or {}).get("required") or ()
    properties: list[Blob] = [{"type": "olm.gvk.required", "value": _crd_gvk(crd)} for crd in required]
    for dependency in bundle.dependencies:
        kind, value = dependency.get("type"), dict(dependency.get("value") or {})
        if kind == "olm.gvk":
            properties.append({"type": "olm.gvk.required", "value": value})
        elif kind == "olm.package":
            required_value = {"packageName": value.get("packageName"), "versionRange": value.get("version")}
            properties.append({"type": "olm.package.required", "value": required_value})
        else:
            properties.append({"type": kind, "value": value})
    properties.extend({"type": item.get("type"), "value": item.get("value")} for item in bundle.properties)
    return properties


def _crd_gvk(crd: Mapping[str, Any]) -> dict[str, Any]:
    return {"group": str(crd.get("name", "")).partition(".")[2], "kind": crd.get("kind"), "version": crd.get("version")}


def _content(bundle: Bundle, level: Level) -> list[Blob]:
    if level == "bundle-object":
        objects = [
            json.dumps(m.data, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for m in bundle.manifests
        ]
        return [
            {"type": "olm.bundle.object", "value": {"data": base64.b64encode(o.encode()).decode()}} for o in objects
        ]
    metadata = bundle.csv.get("metadata") or {}
    value: dict[str, Any] = {key: metadata[key] for key in ("annotations", "labels") if metadata.get(key)}
    for name, field in _CSV_FIELDS:
        if bundle.spec.get(field):
            value[name] = bundle.spec[field]
    # These three are structures in Go, so they are written even when they are empty.
    for name in ("apiServiceDefinitions", "crdDescriptions", "provider"):
        value.setdefault(name, {})
    return [{"type": "olm.csv.metadata", "value": {key: value[key] for key in sorted(value)}}]


def _related_images(bundle: Bundle, image: str) -> list[dict[str, str]]:
    listed = [
        {"name": str(i.get("name") or ""), "image": str(i.get("image"))} for i in bundle.spec.get("relatedImages") or ()
    ]
    known = {entry["image"] for entry in listed}
    pods = [((d.get("spec") or {}).get("template") or {}).get("spec") or {} for d in bundle.deployments]
    for found in (image, *(str(c.get("image")) for pod in pods for c in containers(pod))):
        if found and found not in known:
            known.add(found)
            listed.append({"name": "", "image": found})
    return sorted(listed, key=lambda entry: (entry["image"], entry["name"]))
