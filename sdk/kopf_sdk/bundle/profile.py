"""Where a bundle is meant to be installed or published, and what that target accepts.

Sources: operator-registry `pkg/lib/bundle/supported_resources.go`, operator-lifecycle-manager
`pkg/controller/operators/catalog/supportedresources.go`, operator-pipelines `static_tests`,
operator-controller `docs/project/olmv1_limitations.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PROFILES", "REGISTRY_KINDS", "Profile"]

# Kind -> namespaced. What operator-registry accepts in manifests/.
REGISTRY_KINDS: dict[str, bool] = {
    "ClusterServiceVersion": True,
    "CustomResourceDefinition": False,
    "ClusterRole": False,
    "ClusterRoleBinding": False,
    "Service": True,
    "ServiceAccount": True,
    "Role": True,
    "RoleBinding": True,
    "PrometheusRule": True,
    "ServiceMonitor": True,
    "Secret": True,
    "ConfigMap": True,
    "PodDisruptionBudget": True,
    "PriorityClass": False,
    "VerticalPodAutoscaler": False,
    "ConsoleYAMLSample": False,
    "ConsoleQuickStart": False,
    "ConsoleCLIDownload": False,
    "ConsoleLink": False,
    "ConsolePlugin": False,
    "NetworkPolicy": True,
    "PodMonitor": True,
}
_COMMON = frozenset(REGISTRY_KINDS) - {"ClusterServiceVersion"}


@dataclass(frozen=True, slots=True)
class Profile:
    """One target. `refused` says why a kind that operator-registry accepts is not accepted there."""

    name: str
    title: str
    kinds: frozenset[str]
    refused: dict[str, str]
    api_services: bool = True
    only_all_namespaces: bool = False
    suites: tuple[str, ...] = ("default",)


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "olm-v0",
            "OLM v0 (operator-lifecycle-manager)",
            _COMMON - {"PodMonitor"},
            {"PodMonitor": "OLM v0 has no PodMonitor in its list of kinds and fails the install plan"},
            suites=("default", "objects", "scorecard", "advice"),
        ),
        Profile(
            "olm-v1",
            "OLM v1 (operator-controller)",
            _COMMON,
            {},
            api_services=False,
            only_all_namespaces=True,
            suites=("default", "objects", "scorecard", "advice", "olm-v1"),
        ),
        Profile(
            "operatorhub",
            "OperatorHub.io, community operators",
            _COMMON - {"PodMonitor", "NetworkPolicy"},
            {
                "PodMonitor": "OLM v0 has no PodMonitor in its list of kinds and fails the install plan",
                "NetworkPolicy": "the community pipeline fails a bundle with a NetworkPolicy",
            },
            suites=("default", "objects", "scorecard", "operatorframework", "community", "advice"),
        ),
        Profile(
            "openshift",
            "OpenShift, certified and community operators",
            _COMMON - {"PodMonitor", "NetworkPolicy"},
            {
                "PodMonitor": "OLM v0 has no PodMonitor in its list of kinds and fails the install plan",
                "NetworkPolicy": "the certification pipeline fails a bundle with a NetworkPolicy",
            },
            suites=("default", "objects", "scorecard", "operatorframework", "community", "openshift", "advice"),
        ),
    )
}
