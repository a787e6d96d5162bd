"""The declaration of everything that the operator watches, owns and may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kopf_sdk.runtime import Controller, Permission, Reader, Watch, by_label
from memcached_operator import naming
from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.certificates import Certificates
from memcached_operator.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    NETWORK_POLICY,
    POD,
    POD_DISRUPTION_BUDGET,
    PROMETHEUS_RULE,
    SECRET,
    SERVICE,
    SERVICE_MONITOR,
    STATEFUL_SET,
)
from memcached_operator.operand import Operand
from memcached_operator.reconciling import Reconciler
from memcached_operator.upgrades import holds_upgrade

__all__ = ["controller", "controllers"]


def controller(operand: Operand, certificates: Certificates) -> Controller[Memcached]:
    """Return the controller for `Memcached`.

    Parameters
    ----------
    operand
        The images that pods run by default.
    certificates
        What remembers those in use, to be measured.
    """
    reconciler = Reconciler(operand, certificates)
    secrets = reconciler.secrets
    managed = f"{naming.MANAGED_BY_LABEL}={naming.MANAGED_BY}"
    return Controller(
        Memcached,
        reconciler.reconcile,
        owns=[
            CONFIG_MAP,
            SECRET,
            SERVICE,
            STATEFUL_SET,
            DEPLOYMENT,
            POD_DISRUPTION_BUDGET,
            NETWORK_POLICY,
            AUTOSCALER,
            SERVICE_MONITOR,
            PROMETHEUS_RULE,
        ],
        owned_labels={naming.MANAGED_BY_LABEL: naming.MANAGED_BY},
        watches=[
            Watch(POD, to_keys=by_label(naming.INSTANCE_LABEL), label_selector=managed, reason="status and rollouts"),
            Watch(
                EVENT,
                to_keys=_stateful_set_of,
                field_selector="regarding.kind=StatefulSet,reason=FailedCreate",
                reason="a refused pod is told by an event alone",
            ),
            Watch(
                SECRET,
                to_keys=secrets.to_keys,
                metadata_only=True,
                reason="users and certificates may change",
            ),
        ],
        permissions=[
            Permission("pods", "", ["delete"], reason="replaces pods, a few at a time, where nothing gentler will do"),
            Permission("pods", "", ["patch"], reason="gives living pods new labels, annotations and arguments"),
            Permission("pods", "", ["create"], reason="tries what a pod that serves shall start with"),
            Permission("pods/resize", "", ["patch"], reason="gives living pods more or less memory"),
            Permission("secrets", "", ["get"], reason="reads the users that a resource names"),
        ],
        gone=reconciler.gone,
        holds_upgrade=holds_upgrade,
    )


def controllers() -> list[Controller[Memcached]]:
    """Return what `kopf-sdk generate` derives the permissions from."""
    return [controller(Operand(), Certificates())]


def _stateful_set_of(event: Mapping[str, Any], cache: Reader[Any]) -> Iterable[str]:
    """Return the resource whose StatefulSet, named like it, an event is about."""
    about = event.get("regarding", {})
    namespace, name = about.get("namespace"), about.get("name", "")
    return [f"{namespace}/{name}"] if cache.primary.get(namespace, name) else []
