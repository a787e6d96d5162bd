"""The objects that a Memcached resource consists of: one pure function each."""

from __future__ import annotations

from memcached_operator.api.v1alpha1 import Memcached
from memcached_operator.children import (
    alerts,
    autoscaler,
    binding,
    config_maps,
    discovery,
    disruption,
    exporter,
    network,
    secrets,
    services,
)
from memcached_operator.children.manifest import Manifest
from memcached_operator.children.stateful_set import stateful_set
from memcached_operator.operand import Operand
from memcached_operator.surroundings import Surroundings
from memcached_operator.template import ARGUMENTS

__all__ = ["build"]


def build(memcached: Memcached, operand: Operand, surroundings: Surroundings) -> list[Manifest]:
    """Return every child that the resource asks for; what is not in the list shall not exist."""
    credentials = surroundings.credentials
    children = [
        *([secrets.login(memcached, credentials), secrets.auth(memcached, credentials)] if credentials else []),
        binding.binding(memcached, surroundings),
        config_maps.arguments(
            memcached, surroundings.arguments, _arguments_in_use(surroundings), surroundings.handovers
        ),
        config_maps.servers(memcached, surroundings.servers),
        services.nodes_service(memcached),
        services.client_service(memcached),
        disruption.pod_disruption_budget(memcached),
        network.network_policy(memcached, operand),
        autoscaler.horizontal_pod_autoscaler(memcached),
        exporter.service_monitor(memcached),
        alerts.prometheus_rule(memcached),
        *discovery.discovery(memcached, operand),
        stateful_set(memcached, operand, surroundings),
    ]
    return [child for child in children if child is not None]


def _arguments_in_use(surroundings: Surroundings) -> frozenset[str]:
    """Return the digests of arguments that pods have, and those that the next pod of the live template would have."""
    template = (surroundings.stateful_set or {}).get("spec", {}).get("template", {})
    named = (template.get("metadata", {}).get("annotations") or {}).get(ARGUMENTS)
    return surroundings.arguments_in_use | ({named} if named else frozenset())
