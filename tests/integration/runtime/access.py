"""Service accounts with exactly the rights that the operator's declaration asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from integration.runtime.toy import controller
from kopf_sdk.runtime.permissions import PolicyRule, rules
from kopf_sdk.testing.cluster import Cluster

__all__ = ["account", "grant", "grant_toy"]

RULES = rules([controller()])


def account(cluster: Cluster, namespace: str, name: str, folder: Path) -> Path:
    """Make a service account; return a kubeconfig that is it."""
    cluster.api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    token = cluster.kubectl("create", "token", name, "-n", namespace).strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    context = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    config["users"] = [{"name": name, "user": {"token": token}}]
    context["context"] |= {"user": name, "namespace": namespace}
    path = folder / f"{namespace}-{name}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def grant(
    cluster: Cluster, subject: tuple[str, str], name: str, granted: Sequence[PolicyRule], namespace: str = ""
) -> None:
    """Grant rules to a (namespace, name) service account in a namespace, or in the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    name = "-".join((*subject, name))
    where = {"name": name, **({"namespace": namespace} if namespace else {})}
    group = "rbac.authorization.k8s.io"
    objects = [
        {"apiVersion": f"{group}/v1", "kind": kind, "metadata": where, "rules": [rule.to_json() for rule in granted]},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{kind}Binding",
            "metadata": where,
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": subject[0], "name": subject[1]}],
        },
    ]
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def grant_toy(cluster: Cluster, subject: tuple[str, str], namespaces: Sequence[str]) -> None:
    """Grant what the toy operator needs: a Role per watched namespace, and one for the lease in its own."""
    for namespace in namespaces:
        grant(cluster, subject, "manager", RULES.manager, namespace)
    grant(cluster, subject, "leader", RULES.leader_election, subject[0])
