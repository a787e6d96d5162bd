"""The two sides of a comparison, and how a difference is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.compare import Difference
from kopf_sdk.bundle.convert import Conversion
from kopf_sdk.bundle.expand import OlmVersion, Resource
from kopf_sdk.bundle.fate import Disposition, Level, Notice
from kopf_sdk.bundle.objects import Object, Ref
from kopf_sdk.bundle.references import InstallNamespace

__all__ = ["INSTALLED_IN", "OLM_DIFFERENCES", "RBAC", "WEBHOOKS", "World"]

# The differences that OLM itself makes, or that the bundle needs to run under OLM: name -> what it means.
OLM_DIFFERENCES: Mapping[str, str] = {
    "revision-history": "OLM keeps one old revision of a Deployment",
    "olm-annotations": "OLM copies the CSV's annotations to pods, with those that name operator and target namespaces",
    "olm-condition": "OLM v0 tells pods the name of their OperatorCondition, and lets them write it",
    "olm-certificates": "OLM mounts its serving certificate, in place of the chart's",
    "certificate-volume": "the chart's certificate volume shows the Secret that OLM makes",
    "helm-marks": "labels and annotations that mean Helm are gone",
    "deployment-metadata": "a CSV has no field for annotations of a Deployment",
    "install-namespace": "the pod learns its namespace from the cluster instead of from Helm",
    "service-name": "DNS names of the webhook Service are those of the one OLM makes",
    "target-namespaces": "the watched namespaces come from OLM",
    "account-settings": "settings of the ServiceAccount stand in its pods",
    "all-namespaces": "rights of one namespace hold in all of them with install mode AllNamespaces",
    "namespaces-view": "OLM adds get, list, watch on namespaces in install mode AllNamespaces",
    "other-namespace": "rights for one other namespace hold in all of them",
    "serving-rights": "OLM v0 lets serving deployments check requests and read their certificate",
    "webhook-selector": "a CSV has no field for namespaceSelector and matchConditions; OLM selects the target "
    "namespaces",
    "webhook-name": "OLM needs unique, legal names",
    "conversion-client": "OLM points the conversion webhook to its own Service and CA",
    "image-pinned": "images are referred to by the digests of the lock file",
    "own-namespace": "objects have the namespace of the installation",
}
INSTALLED_IN = "operators"
"""The namespace that bundles are expanded into."""
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class World:
    """What Helm would apply, and what one version of OLM would.

    Attributes
    ----------
    rendered
        The objects of the rendering that are meant to be in the bundle.
    cluster
        The objects that OLM makes of the bundle.
    namespace
        The namespace that the rendering was made for.
    """

    conversion: Conversion
    bundle: Bundle
    version: OlmVersion
    rendered: list[Object]
    cluster: list[Object]
    namespace: InstallNamespace

    @classmethod
    def of(cls, conversion: Conversion, bundle: Bundle, version: OlmVersion, installed: list[Resource]) -> Self:
        """Put the two sides beside each other; `installed` is the bundle as that version of OLM expands it."""
        assert conversion.install_namespace is not None
        gone = {Disposition.LEFT_OUT, Disposition.NO_PLACE}
        # An object may be rendered twice; what is left out then is the second one.
        placed = {fate.ref for fate in conversion.fates if fate.disposition not in gone}
        omitted = {fate.ref for fate in conversion.fates} - placed
        first = {(obj.group, obj.ref): obj for obj in reversed(conversion.rendered)}
        rendered = [obj for obj in conversion.rendered if obj.ref not in omitted and obj is first[obj.group, obj.ref]]
        cluster = [Object(resource) for resource in installed]
        return cls(conversion, bundle, version, rendered, cluster, conversion.install_namespace)

    def notice(self, ref: Ref, difference: Difference, name: str, prefix: str = "") -> Notice:
        """Tell a difference: under its name when it has one, as an error when nothing explains it."""
        if name in OLM_DIFFERENCES:
            return Notice(Level.INFO, name, f"{prefix}{difference} ({OLM_DIFFERENCES[name]})", ref)
        if name:
            return Notice(Level.INFO, name, f"{prefix}{difference}", ref)
        return self.error(ref, f"{prefix}{difference}")

    @staticmethod
    def error(ref: Ref | None, message: str) -> Notice:
        """Tell what must not be."""
        hint = "Build the bundle again; if it was built just now, this is a defect of the builder: please report it."
        return Notice(Level.ERROR, "difference", message, ref, hint)
