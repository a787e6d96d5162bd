"""The lock file of image digests: made once with a registry, used offline ever after."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kopf_sdk.bundle import yaml
from kopf_sdk.bundle.images import split_reference
from kopf_sdk.errors import SdkError

__all__ = ["DEFAULT_LOCK", "ImageFacts", "ImageLock", "Resolver", "load_lock", "pin_text", "resolve_lock"]

DEFAULT_LOCK = "images.lock.yaml"
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a registry says of an image: the digest of its index or manifest, and the platforms it is for."""

    digest: str
    platforms: tuple[str, ...] = ()


class Resolver(Protocol):
    """Whoever knows what a reference stands for: a registry."""

    def resolve(self, reference: str) -> ImageFacts:
        """Return digest and platforms of an image; raises SdkError."""
        ...


@dataclass(frozen=True, slots=True)
class ImageLock:
    """Reference → what it stood for when the lock was made."""

    images: Mapping[str, ImageFacts] = field(default_factory=dict)

    def pinned(self, reference: str) -> str:
        """Return a reference by digest; the reference itself when it is not locked."""
        facts = self.images.get(reference)
        return f"{split_reference(reference)[0]}@{facts.digest}" if facts else reference

    def missing(self, references: Collection[str]) -> list[str]:
        """Return the references that are neither locked nor by digest already."""
        return sorted(r for r in set(references) if r not in self.images and not split_reference(r)[2])

    def common_platforms(self, references: Collection[str]) -> set[str]:
        """Return the platforms that all of these images are for."""
        known = [set(self.images[r].platforms) for r in references if r in self.images and self.images[r].platforms]
        return set.intersection(*known) if known else set()

    def dump(self) -> str:
        """Return the text of the lock file."""
        entries = [
            {"image": reference, "digest": facts.digest, "platforms": list(facts.platforms)}
            for reference, facts in sorted(self.images.items())
        ]
        return "# Made by `kopf-sdk bundle images lock`; do not edit.\n" + yaml.dump({"images": entries})


def load_lock(path: Path) -> ImageLock:
    """Return the lock in a file; raises SdkError for anything else."""
    data = yaml.load_file(path)
    entries = data.get("images") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise SdkError(f"{path}: images: a list is expected", hint="Make it anew: kopf-sdk bundle images lock")
    images: dict[str, ImageFacts] = {}
    for number, entry in enumerate(entries):
        reference, digest = str(entry.get("image") or ""), str(entry.get("digest") or "")
        if not reference or not _DIGEST.match(digest):
            raise SdkError(
                f"{path}: images[{number}]: image and digest (sha256:…) are both needed",
                hint="Make it anew: kopf-sdk bundle images lock",
            )
        images[reference] = ImageFacts(digest, tuple(entry.get("platforms") or ()))
    return ImageLock(images)


def resolve_lock(references: Collection[str], registry: Resolver) -> ImageLock:
    """Return the lock for references, asked from their registries; those by digest stay as they are."""
    return ImageLock({r: registry.resolve(r) for r in sorted(set(references)) if not split_reference(r)[2]})


def pin_text(value: Any, lock: ImageLock) -> Any:
    """Return a value in which every locked reference, wherever it stands in a text, is one by digest."""
    if isinstance(value, Mapping):
        return {key: pin_text(inner, lock) for key, inner in value.items()}
    if isinstance(value, list):
        return [pin_text(item, lock) for item in value]
    if not isinstance(value, str) or ":" not in value:
        return value
    for reference in sorted(lock.images, key=len, reverse=True):
        if reference in value:
            value = re.sub(rf"(?<![\w./-]){re.escape(reference)}(?![\w.@/-])", lock.pinned(reference), value)
    return value
