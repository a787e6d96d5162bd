"""Container images without a registry: bases from packages, builds with whichever tool the machine has."""

from kopf_sdk.testing.images.base import base_image, reference

__all__ = ["base_image", "reference"]
