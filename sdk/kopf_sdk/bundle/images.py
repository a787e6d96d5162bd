"""Container images an operator needs: found in pods and ConfigMaps, merged with those that bundle.yaml names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kopf_sdk.bundle.references import containers

__all__ = ["FoundImage", "find_images", "image_name", "main_image", "related_images", "split_reference"]

_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_HOST}(?:\.{_HOST})+(?::\d+)?|localhost(?::\d+)?)"
_PATH = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"@sha256:[0-9a-f]{64}"
# In free text only what has a registry's host name and a tag or digest is taken for an image.
_QUALIFIED = re.compile(rf"(?<![\w./@:-]){_DOMAIN}(?:/{_PATH})+(?:{_TAG}(?:{_DIGEST})?|{_DIGEST})(?![\w/@:-])")
_WHOLE = re.compile(rf"^(?:{_DOMAIN}/)?{_PATH}(?:/{_PATH})*(?:{_TAG})?(?:{_DIGEST})?$")
_IMAGE_VARIABLE = re.compile(r"(?:^|_)IMAGES?(?:_|$)|^RELATED_IMAGE_", re.IGNORECASE)
_IMAGE_FLAG = re.compile(r"^--?[\w-]*image[\w-]*$", re.IGNORECASE)
_URL = re.compile(r"\w+://\S+")


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image reference and the place it was found in."""

    reference: str
    where: str
    name: str = ""


def find_images(
    deployments: Mapping[str, Mapping[str, Any]],
    config_maps: Mapping[str, Mapping[str, Any]],
    patterns: Collection[str] = (),
) -> list[FoundImage]:
    """Return every image in containers, environment, arguments and ConfigMaps, in order, with repetitions.

    Parameters
    ----------
    patterns
        Further regular expressions; their first group, or the whole match, is an image.
    """
    extra = [re.compile(pattern) for pattern in patterns]
    found: list[FoundImage] = []
    for name, spec in deployments.items():
        pod = (spec.get("template") or {}).get("spec") or {}
        for container in containers(pod):
            found.extend(_container(f"{name}/{container.get('name', '?')}", container, extra))
    for name, data in config_maps.items():
        for key, text in data.items():
            found.extend(_variable(f"ConfigMap {name}, {key}", str(key), str(text), extra))
    return found


def _container(label: str, container: Mapping[str, Any], extra: list[re.Pattern[str]]) -> Iterator[FoundImage]:
    if container.get("image"):
        yield FoundImage(str(container["image"]), f"container {label}")
    for variable in container.get("env") or ():
        name, value = str(variable.get("name", "")), variable.get("value")
        if not isinstance(value, str) or not value:
            continue
        yield from _variable(f"container {label}, env {name}", name, value, extra)
    for key in ("command", "args"):
        previous = ""
        for text in container.get(key) or ():
            flag, equals, value = str(text).partition("=")
            candidate = value if equals else str(text) if _IMAGE_FLAG.match(previous) else ""
            if candidate and (_IMAGE_FLAG.match(flag) or _IMAGE_FLAG.match(previous)) and _has_registry_form(candidate):
                yield FoundImage(candidate, f"container {label}, {key} {flag if equals else previous}")
            else:
                yield from (FoundImage(image, f"container {label}, {key}") for image in _in_text(str(text), extra))
            previous = str(text)


def _variable(where: str, name: str, value: str, extra: list[re.Pattern[str]]) -> Iterator[FoundImage]:
    """Yield the images in an environment variable, or in a key of a ConfigMap, which may become one (`envFrom`)."""
    related = name.startswith("RELATED_IMAGE_")
    called = name.removeprefix("RELATED_IMAGE_").lower().replace("_", "-") if related else ""
    if _IMAGE_VARIABLE.search(name) and "\n" not in value and _has_registry_form(value.strip()):
        yield FoundImage(value.strip(), where, called)
    else:
        yield from (FoundImage(image, where) for image in _in_text(value, extra))


def _has_registry_form(text: str) -> bool:
    """`nginx:1.25`, `org/name`, `host/name:tag@digest`; but neither `true` nor `IfNotPresent` nor `v1.2`."""
    return bool(_WHOLE.match(text)) and ("/" in text or ":" in text)


def _in_text(text: str, extra: list[re.Pattern[str]]) -> Iterator[str]:
    plain = _URL.sub(" ", text)
    for match in _QUALIFIED.finditer(plain):
        yield match[0]
    for pattern in extra:
        for match in pattern.finditer(text):
            yield match[1] if pattern.groups else match[0]


def split_reference(reference: str) -> tuple[str, str, str]:
    """Return (repository, tag, digest) of an image reference; tag and digest may be empty."""
    rest, _, digest = reference.partition("@")
    head, colon, tag = rest.rpartition(":")
    if colon and "/" not in tag:
        return head, tag, digest
    return rest, "", digest


def image_name(reference: str) -> str:
    """Return a name for `spec.relatedImages` from the last part of the repository."""
    repository, _, _ = split_reference(reference)
    return re.sub(r"[^a-z0-9]+", "-", repository.rsplit("/", 1)[-1].lower()).strip("-") or "image"


def main_image(images: Collection[str], package: str, app_version: str) -> str:
    """Return the image that most likely is the operator's own, "" when there is none.

    The first container may be a proxy beside the operator, the first deployment one of a subchart.
    """

    def fit(image: str) -> tuple[bool, bool, bool, bool]:
        name, tag = image_name(image), split_reference(image)[1]
        released = bool(app_version) and tag.removeprefix("v") == app_version.removeprefix("v")
        return name == package, name in package or package in name, released, "proxy" not in name

    return max(images, key=fit, default="")


def related_images(
    found: Collection[FoundImage], given: Mapping[str, str], exclude: Collection[str]
) -> list[dict[str, str]]:
    """Return `spec.relatedImages`.

    Every image once, the given ones under their names, none of them overwritten, sorted by name.
    """
    result: dict[str, str] = dict(given)
    for image in found:
        if image.reference in exclude or image.reference in result.values():
            continue
        base = image.name or image_name(image.reference)
        tag = split_reference(image.reference)[1]
        suffix = re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-")
        for name in (
            base,
            image_name(image.reference),
            f"{base}-{suffix}".rstrip("-"),
            *(f"{base}-{number}" for number in range(2, 1000)),
        ):
            if result.setdefault(name, image.reference) == image.reference:
                break
    return [{"name": name, "image": result[name]} for name in sorted(result)]
