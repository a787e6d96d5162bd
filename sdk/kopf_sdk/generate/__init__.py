"""From Python types to what the chart ships: CRDs, permissions, the API reference."""

from kopf_sdk.generate.crd import crd_manifests

__all__ = ["crd_manifests"]
