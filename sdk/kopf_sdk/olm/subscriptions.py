"""Which Subscription of a cluster is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kopf_sdk.errors import SdkError
from kopf_sdk.testing.cluster.kubectl import Kubectl

__all__ = ["find_subscription"]


def find_subscription(cluster: Kubectl, package: str, namespace: str = "", *, hint: str) -> Mapping[str, Any]:
    """Return the Subscription to a package, in one namespace or in any.

    Raises
    ------
    SdkError
        There is none (with the hint), or there are several to choose from.
    """
    scope = ("--namespace", namespace) if namespace else ("--all-namespaces",)
    items = cluster.get("subscriptions.operators.coreos.com", *scope)["items"]
    found = [item for item in items if item["spec"]["name"] == package]
    if not found:
        where = f"in namespace {namespace}" if namespace else "on this cluster"
        raise SdkError(f"there is no Subscription to {package} {where}", hint=hint)
    if len(found) > 1:
        places = ", ".join(sorted(item["metadata"]["namespace"] for item in found))
        raise SdkError(f"{package} is subscribed to in several namespaces: {places}", hint="choose one: --namespace")
    return dict(found[0])
