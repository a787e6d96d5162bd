"""The part of the specification that lets items overflow to disk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kopf_sdk.api import Model, Rule

__all__ = ["Extstore", "Retention", "Size"]

Size = Annotated[str, Field(pattern=r"^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$", max_length=24)]
"""An amount of memory or disk, as text so that CEL rules can compute with it."""

Policy = Literal["Delete", "Retain"]


class Retention(Model):
    """What becomes of claims that no pod uses any more."""

    when_scaled: Policy = "Delete"
    """When `size` shrinks."""

    when_deleted: Policy = "Delete"
    """When the resource is deleted."""


class Extstore(
    Model,
    rules=[
        Rule(
            "quantity(self.size).compareTo(quantity('256Mi')) >= 0",
            message="extstore.size must be at least 256Mi: memcached writes pages of 64Mi and needs some to compact",
            field_path=".size",
        ),
        Rule(
            "self.volume != 'emptyDir' || !has(self.storageClassName)",
            message="storageClassName is for the volumes ephemeral and claim: an emptyDir has none",
            field_path=".storageClassName",
        ),
        Rule(
            "self.volume == 'claim' || !has(self.retention)",
            message="retention is for the volume claim: others go with their pod",
            field_path=".retention",
        ),
    ],
):
    """Items beyond `memory` go to disk and are read from there; memory keeps their keys (memcached's extstore). Like
    memory it is empty after a restart, whatever the volume."""

    size: Size
    """Disk for items in every pod."""

    volume: Literal["emptyDir", "ephemeral", "claim"] = "emptyDir"
    """emptyDir: the node's disk. ephemeral: a claim that lives as long as the pod. claim: one per ordinal that the next
    pod of that name uses again; immutable, because a StatefulSet's claims are."""

    storage_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Storage class of the claims. The cluster's default when absent."""

    retention: Retention | None = None
    """What becomes of claims that no pod uses any more: deleted when absent."""
