"""The objects that make OLM install something, as it reads them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kopf_sdk.olm.status import MANAGED_BY

__all__ = ["CATALOG_DIRECTORY", "catalog_source", "operator_group", "subscription"]

Object = dict[str, Any]

CATALOG_DIRECTORY = "/configs"
"""Where catalog images have the catalog."""


def operator_group(name: str, namespace: str, targets: Sequence[str]) -> Object:
    """Return an OperatorGroup; without targets it selects every namespace."""
    spec: Object = {"targetNamespaces": list(targets)} if targets else {}
    return _object("operators.coreos.com/v1", "OperatorGroup", name, namespace, spec)


def catalog_source(
    name: str, namespace: str, *, image: str = "", address: str = "", title: str = "", only_content: bool = True
) -> Object:
    """Return a CatalogSource that is served from a catalog image, or found at an address.

    Parameters
    ----------
    only_content
        Whether the image holds nothing but the catalog: OLM then serves it with its own opm.
    """
    spec: Object = {"sourceType": "grpc", "displayName": title or name, "publisher": "kopf-sdk"}
    if address:
        spec["address"] = address
    else:
        pod: Object = {"securityContextConfig": "restricted"}
        if only_content:
            pod["extractContent"] = {"catalogDir": CATALOG_DIRECTORY}
        spec |= {"image": image, "grpcPodConfig": pod}
    return _object("operators.coreos.com/v1alpha1", "CatalogSource", name, namespace, spec)


def subscription(
    name: str,
    namespace: str,
    *,
    package: str,
    channel: str,
    source: str,
    source_namespace: str = "",
    starting_csv: str = "",
    manual: bool = True,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """Return a Subscription; `manual`: its InstallPlans wait for an approval."""
    spec: Object = {
        "name": package,
        "channel": channel,
        "source": source,
        "sourceNamespace": source_namespace or namespace,
        "installPlanApproval": "Manual" if manual else "Automatic",
    }
    if starting_csv:
        spec["startingCSV"] = starting_csv
    made = _object("operators.coreos.com/v1alpha1", "Subscription", name, namespace, spec)
    if annotations:
        made["metadata"]["annotations"] = dict(annotations)
    return made


def _object(api_version: str, kind: str, name: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
