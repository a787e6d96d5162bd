"""What OLM installs compared with what Helm installs. Every difference has a name that explains it, or is an error.

The bundle is expanded as OLM v0 and v1 would (`expand`), the rendering is taken as Helm would apply it. Rights are
compared by what they allow, webhooks by what they call, everything else field by field.
"""

from __future__ import annotations

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.diff.crds import compare_crds
from kopf_sdk.bundle.diff.deployments import compare_deployments
from kopf_sdk.bundle.diff.files import compare_files, compare_volumes, unexplained_objects
from kopf_sdk.bundle.diff.rights import compare_accounts, compare_rights
from kopf_sdk.bundle.diff.webhooks import compare_webhooks
from kopf_sdk.bundle.diff.world import INSTALLED_IN, OLM_DIFFERENCES, World
from kopf_sdk.bundle.expand import ALL_NAMESPACES, OlmVersion, expand
from kopf_sdk.bundle.fate import Notice

__all__ = ["OLM_DIFFERENCES", "compare_bundle", "compare_worlds"]

_COMPARISONS = (
    compare_deployments,
    compare_crds,
    compare_rights,
    compare_accounts,
    compare_webhooks,
    compare_files,
    compare_volumes,
    unexplained_objects,
)


def compare_bundle(conversion: Conversion, bundle: Bundle) -> list[Notice]:
    """Return the differences between a rendering and a bundle, expanded as OLM v0 and v1 would."""
    notices: dict[Notice, None] = {}
    modes = {mode.get("type"): mode.get("supported") for mode in bundle.spec.get("installModes") or ()}
    targets = list(ALL_NAMESPACES) if modes.get("AllNamespaces") else [INSTALLED_IN]
    versions: list[OlmVersion] = ["v0"]
    apis = (bundle.spec.get("apiservicedefinitions") or {}).get("owned")
    if modes.get("AllNamespaces") and not apis:
        versions.append("v1")
    for version in versions:
        installed = expand(bundle, version=version, namespace=INSTALLED_IN, targets=targets)
        notices.update(dict.fromkeys(compare_worlds(World.of(conversion, bundle, version, installed))))
    return list(notices)


def compare_worlds(world: World) -> list[Notice]:
    """Return the differences between the two sides of a comparison, wherever the objects on them come from."""
    return [notice for compare in _COMPARISONS for notice in compare(world)]
