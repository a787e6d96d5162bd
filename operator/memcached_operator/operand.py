"""What the platform decides for all resources alike: the images that pods run when a resource names none."""

from __future__ import annotations

from dataclasses import dataclass

from kopf_sdk.runtime import Settings, setting
from memcached_operator import __version__

__all__ = ["Operand", "OperatorSettings"]

DEFAULT_MEMCACHED_IMAGE = "docker.io/library/memcached:1.6.45"
DEFAULT_OPERATOR_IMAGE = f"ghcr.io/memcached-operator/memcached-operator:{__version__}"


@dataclass(frozen=True, kw_only=True)
class Operand:
    """Images of the operand, and where the operator itself runs."""

    memcached_image: str = DEFAULT_MEMCACHED_IMAGE
    operator_image: str = DEFAULT_OPERATOR_IMAGE
    """The operator's own image: the exporter is in it."""
    operator_namespace: str = ""
    """Empty out of cluster."""
    rollout_on_upgrade: bool = False
    """Whether pods follow what another version of the operator would make of them without being asked."""


@dataclass(frozen=True, kw_only=True)
class OperatorSettings(Settings):
    """The runtime's settings and this operator's own.

    Images come from `RELATED_IMAGE_…`, OLM's convention for what a disconnected registry has to mirror.
    """

    memcached_image: str = setting(
        DEFAULT_MEMCACHED_IMAGE, "Image of pods whose resource names none.", env="RELATED_IMAGE_MEMCACHED"
    )
    operator_image: str = setting(
        DEFAULT_OPERATOR_IMAGE, "The operator's own image, run beside memcached too.", env="RELATED_IMAGE_OPERATOR"
    )

    rollout_on_upgrade: bool = setting(
        False,
        "Replace pods, a few at a time, when an upgrade of the operator changes what they would be made of; else they "
        "keep it until their resource asks.",
    )
    enable_webhooks: bool = setting(
        False, "Serve the webhooks, which warn; what is invalid is refused without them, by rules in the CRD."
    )

    @property
    def operand(self) -> Operand:
        """What is decided for all resources alike."""
        return Operand(
            memcached_image=self.memcached_image,
            operator_image=self.operator_image,
            operator_namespace=self.namespace,
            rollout_on_upgrade=self.rollout_on_upgrade,
        )
