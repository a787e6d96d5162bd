"""The kinds of the API that the operator reads, makes or changes."""

from __future__ import annotations

from kopf_sdk.runtime import Kind

__all__ = [
    "AUTOSCALER",
    "CONFIG_MAP",
    "DEPLOYMENT",
    "EVENT",
    "NETWORK_POLICY",
    "POD",
    "POD_DISRUPTION_BUDGET",
    "PROMETHEUS_RULE",
    "SECRET",
    "SERVICE",
    "SERVICE_MONITOR",
    "STATEFUL_SET",
]

AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler")
CONFIG_MAP = Kind("v1", "ConfigMap")
DEPLOYMENT = Kind("apps/v1", "Deployment")
EVENT = Kind("events.k8s.io/v1", "Event")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
POD = Kind("v1", "Pod")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget")
PROMETHEUS_RULE = Kind("monitoring.coreos.com/v1", "PrometheusRule", optional=True)
SECRET = Kind("v1", "Secret")
SERVICE = Kind("v1", "Service")
SERVICE_MONITOR = Kind("monitoring.coreos.com/v1", "ServiceMonitor", optional=True)
STATEFUL_SET = Kind("apps/v1", "StatefulSet")
