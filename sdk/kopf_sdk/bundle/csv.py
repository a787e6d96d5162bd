"""The ClusterServiceVersion, put together from its parts.

Fields after operator-framework/api `pkg/operators/v1alpha1/clusterserviceversion_types.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kopf_sdk.bundle.config import Config
from kopf_sdk.bundle.metadata import Metadata
from kopf_sdk.bundle.roles import Rule

__all__ = ["CsvParts", "build_csv"]


@dataclass(slots=True, eq=False, repr=False)
class CsvParts:
    """What the translation found, ready for the CSV."""

    deployments: list[dict[str, Any]] = field(default_factory=list)
    permissions: Mapping[str, list[Rule]] = field(default_factory=dict)
    cluster_permissions: Mapping[str, list[Rule]] = field(default_factory=dict)
    webhooks: list[dict[str, Any]] = field(default_factory=list)
    owned_crds: list[dict[str, Any]] = field(default_factory=list)
    owned_apis: list[dict[str, Any]] = field(default_factory=list)
    install_modes: list[dict[str, Any]] = field(default_factory=list)
    related_images: list[dict[str, str]] = field(default_factory=list)
    examples: str = "[]"
    initialization_resource: str = ""
    container_image: str = ""
    architectures: list[str] = field(default_factory=list)
    operating_systems: list[str] = field(default_factory=list)
    builder: str = ""


def build_csv(metadata: Metadata, config: Config, parts: CsvParts) -> dict[str, Any]:
    """Return the CSV object."""
    name = metadata.csv_name
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": name,
            "namespace": "placeholder",
            "annotations": _annotations(metadata, config, parts),
            **_labels(config, parts),
        },
        "spec": _spec(metadata, config, parts),
    }


def _annotations(metadata: Metadata, config: Config, parts: CsvParts) -> dict[str, str]:
    annotations = {
        "alm-examples": parts.examples,
        "capabilities": metadata.capabilities,
        "categories": ",".join(metadata.categories),
        "containerImage": config.container_image or parts.container_image,
        "createdAt": metadata.created_at,
        "description": metadata.summary,
        "repository": metadata.repository,
        "support": metadata.support,
        "olm.skipRange": config.skip_range or "",
        "operatorframework.io/suggested-namespace": config.namespace or "",
        "operatorframework.io/initialization-resource": parts.initialization_resource,
        "operators.operatorframework.io/builder": parts.builder,
        "operators.operatorframework.io/project_layout": "helm",
        "operators.operatorframework.io/internal-objects": _internal(config),
    }
    annotations.update(
        {f"features.operators.openshift.io/{key}": str(value).lower() for key, value in config.features.items()}
    )
    annotations.update(config.annotations)
    return {key: annotations[key] for key in sorted(annotations) if annotations[key]}


def _internal(config: Config) -> str:
    hidden = [f'"{name}"' for name, crd in sorted(config.crds.items()) if crd.internal]
    return f"[{','.join(hidden)}]" if hidden else ""


def _labels(config: Config, parts: CsvParts) -> dict[str, dict[str, str]]:
    """Say for which platforms the operator is: as configured, else as the lock file knows of its images."""
    architectures = parts.architectures if config.architectures is None else config.architectures
    systems = parts.operating_systems if config.operating_systems is None else config.operating_systems
    labels = {f"operatorframework.io/arch.{arch}": "supported" for arch in architectures}
    labels.update({f"operatorframework.io/os.{system}": "supported" for system in systems})
    labels.update(config.labels)
    return {"labels": dict(sorted(labels.items()))} if labels else {}


def _spec(metadata: Metadata, config: Config, parts: CsvParts) -> dict[str, Any]:
    crds: dict[str, Any] = {"owned": parts.owned_crds}
    required = [item.as_written() for item in config.required_crds]
    if required:
        crds["required"] = required
    strategy: dict[str, Any] = {}
    if parts.cluster_permissions:
        strategy["clusterPermissions"] = _permissions(parts.cluster_permissions)
    strategy["deployments"] = parts.deployments
    if parts.permissions:
        strategy["permissions"] = _permissions(parts.permissions)
    spec: dict[str, Any] = {
        "displayName": metadata.display_name,
        "description": metadata.description,
        "version": str(metadata.version),
        "release": config.release,
        "replaces": config.replaces,
        "skips": config.skips,
        "maturity": metadata.maturity,
        "minKubeVersion": metadata.min_kube_version,
        "keywords": list(metadata.keywords),
        "maintainers": [dict(item) for item in metadata.maintainers],
        "provider": dict(metadata.provider),
        "links": [dict(item) for item in metadata.links],
        "icon": [dict(metadata.icon)] if metadata.icon else None,
        "installModes": parts.install_modes,
        "install": {"strategy": "deployment", "spec": strategy},
        "customresourcedefinitions": crds if any(crds.values()) else None,
        "apiservicedefinitions": {"owned": parts.owned_apis} if parts.owned_apis else None,
        "webhookdefinitions": parts.webhooks,
        "nativeAPIs": config.native_apis,
        "relatedImages": parts.related_images,
    }
    return {key: value for key, value in spec.items() if value not in (None, "", [], {})}


def _permissions(table: Mapping[str, list[Rule]]) -> list[dict[str, Any]]:
    return [{"serviceAccountName": account, "rules": table[account]} for account in sorted(table)]
