"""OLM's images and those of bundles and catalogs on a local node, known by their digests.

OLM takes an image that is named by digest from the node, and pulls every other one
(`pkg/lib/image/image.go`, InferImagePullPolicy). There is no registry, so names have digests.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from kopf_sdk.olm.release import Images
from kopf_sdk.testing.cluster import Cluster
from kopf_sdk.testing.images import base_image

__all__ = ["load_by_digest", "local_images", "named_by_digest"]

_DEFINITIONS = Path(__file__).with_name("images.toml")


def local_images(cluster: Cluster) -> Images:
    """OLM's images made of the pinned tools and loaded into the node; what is there already is reused."""
    olm, opm = (load_by_digest(cluster, base_image(name, source=_DEFINITIONS)) for name in ("olm", "opm"))
    return Images(olm, opm)


def load_by_digest(cluster: Cluster, archive: Path) -> str:
    """Load an archive with one image into the node, unless it is there; returns its name with the digest."""
    known = named_by_digest(archive)
    if known and known in cluster.image_names():
        return known
    name, digest = next(iter(cluster.load_images([archive]).items()))
    cluster.tag_image(name, _digested(name, digest))
    return _digested(name, digest)


def named_by_digest(archive: Path) -> str:
    """The name that an OCI archive gives its image, with the digest instead of the tag; empty when it has no name."""
    with tarfile.open(archive) as tar:
        try:
            index = tar.extractfile("index.json")
        except KeyError:
            return ""
        assert index is not None
        entry = json.load(index)["manifests"][0]
    name = (entry.get("annotations") or {}).get("io.containerd.image.name")
    return _digested(name, entry["digest"]) if name else ""


def _digested(name: str, digest: str) -> str:
    head, slash, last = name.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}@{digest}"
