"""The disk behind memcached's memory: a volume of the pod, or a claim of the StatefulSet."""

from __future__ import annotations

from typing import Any

from memcached_operator import naming, sizing
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.paths import EXTSTORE_PATH

__all__ = ["claims", "mount", "volume"]

_NAME = "extstore"


def mount(memcached: Memcached) -> list[dict[str, Any]]:
    """Return where memcached finds the volume; nothing without extstore."""
    return [{"name": _NAME, "mountPath": EXTSTORE_PATH}] if memcached.spec.extstore else []


def volume(memcached: Memcached) -> list[dict[str, Any]]:
    """Return the volume that lives and goes with the pod, if it is one."""
    extstore = memcached.spec.extstore
    if extstore is None or extstore.volume == "claim":
        return []
    if extstore.volume == "ephemeral":
        template = {"metadata": {"labels": naming.selector(memcached)}, "spec": _claim(memcached)}
        return [{"name": _NAME, "ephemeral": {"volumeClaimTemplate": template}}]
    return [{"name": _NAME, "emptyDir": {"sizeLimit": f"{sizing.extstore_volume_mib(extstore)}Mi"}}]


def claims(memcached: Memcached) -> dict[str, Any]:
    """Return the fields of a StatefulSet that make claims and say what becomes of them; none where there are none.

    The template is immutable: nothing in it may change with a version of the operator.
    """
    extstore = memcached.spec.extstore
    if extstore is None or extstore.volume != "claim":
        return {}
    retention = extstore.retention
    return {
        "volumeClaimTemplates": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": _NAME, "labels": naming.selector(memcached)},
                "spec": _claim(memcached),
            }
        ],
        "persistentVolumeClaimRetentionPolicy": {
            "whenScaled": retention.when_scaled if retention else "Delete",
            "whenDeleted": retention.when_deleted if retention else "Delete",
        },
    }


def _claim(memcached: Memcached) -> dict[str, Any]:
    extstore = memcached.spec.extstore
    assert extstore is not None
    storage_class = {"storageClassName": extstore.storage_class_name} if extstore.storage_class_name else {}
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{sizing.extstore_volume_mib(extstore)}Mi"}},
        **storage_class,
    }
