"""Our operator's bundle with images that a cluster has: the chart's, made on this machine or pushed by the user."""

from __future__ import annotations

from pathlib import Path

from demo_images import ROOT, Images
from kopf_sdk.bundle.build import BuildRequest
from kopf_sdk.bundle.commands import build_bundle
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.profile import PROFILES
from kopf_sdk.errors import SdkError

__all__ = ["image_values", "operator_bundle"]


def operator_bundle(images: Images, directory: Path, *, version: str = "", sets: tuple[str, ...] = ()) -> Path:
    """Build the bundle into a directory called `bundle` or so and return it.

    Parameters
    ----------
    version
        The chart's when left out.
    sets
        More values for the chart, as `webhooks.enabled=true`.

    Raises
    ------
    SdkError
        The bundle has errors: with the first of them.
    """
    request = BuildRequest(
        chart=str(ROOT / "charts" / "memcached-operator"),
        profile=PROFILES["olm-v0"],
        config=ROOT / "charts" / "bundle.yaml",
        sets=(*image_values(images), *sets),
        version=version,
    )
    report = build_bundle(request, directory, check=False)
    if report.failed:
        errors = [item.message for item in (*report.notices, *report.differences) if item.level is Level.ERROR]
        errors += [item.message for item in report.findings if item.level is Level.ERROR]
        raise SdkError(f"the bundle of the operator: {'; '.join(errors[:3]) or 'an object has no place in it'}")
    return directory


def image_values(images: Images) -> list[str]:
    """Return the chart's values for these images, as `helm --set` takes them."""
    return [*_values("image", images.operator), *_values("operand.memcached.image", images.memcached)]


def _values(prefix: str, image: str) -> list[str]:
    repository, _, tag = image.rpartition(":")
    return [f"{prefix}.registry=", f"{prefix}.repository={repository}", f"{prefix}.tag={tag}"]
