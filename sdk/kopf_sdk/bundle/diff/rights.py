"""Rights, compared by what they allow and not by how roles write it down."""

from __future__ import annotations

from collections.abc import Iterator

from kopf_sdk.bundle.diff.world import INSTALLED_IN, OLM_DIFFERENCES, World
from kopf_sdk.bundle.fate import Level, Notice
from kopf_sdk.bundle.grants import Grant, GrantIndex, effective_grants
from kopf_sdk.bundle.objects import by_kind

__all__ = ["compare_accounts", "compare_rights"]


def compare_rights(world: World) -> Iterator[Notice]:
    """Compare what every account may do: nothing may be missing, and what is more must have a name."""
    external = world.conversion.config.rbac.external_roles
    # Rights of the rendering, as if it had been rendered for the namespace of the installation.
    helm, unknown = effective_grants(world.rendered, world.namespace.name, external)
    helm = {
        grant._replace(scope=INSTALLED_IN if grant.scope == world.namespace.name else grant.scope) for grant in helm
    }
    olm, _ = effective_grants(world.cluster, INSTALLED_IN, external)
    for line in unknown:
        yield Notice(Level.ERROR, "rights-unknown", f"{line}: a role that is nowhere defined", None)
    everything = GrantIndex(olm)
    watched = {"olm-watch-namespace"}
    for grant in sorted(helm - olm):
        if grant.scope in watched or everything.cover(grant):
            continue
        if grant.scope == "kube-system" and _serves(world, grant.account) and "extension-apiserver" in grant.name:
            continue
        yield world.error(None, f"OLM [{world.version}] does not grant what Helm grants: {grant}")
    yield from _wider(world, helm, olm)


def _wider(world: World, helm: set[Grant], olm: set[Grant]) -> Iterator[Notice]:
    had = GrantIndex(helm)
    counts: dict[tuple[str, str], int] = {}
    for grant in sorted(olm):
        if grant in helm or had.cover(grant):
            continue
        name = _explain_right(world, grant, had)
        if not name:
            yield world.error(None, f"OLM [{world.version}] grants what Helm does not: {grant}")
        else:
            counts[(grant.account, name)] = counts.get((grant.account, name), 0) + 1
    for (account, name), count in sorted(counts.items()):
        yield Notice(
            Level.INFO, name, f"[{world.version}] account {account}: {count} right(s): {OLM_DIFFERENCES[name]}", None
        )


def _explain_right(world: World, grant: Grant, had: GrantIndex) -> str:
    narrower = had.same_right(grant)
    if any(other.scope in {INSTALLED_IN, "olm-watch-namespace"} for other in narrower):
        return "all-namespaces"
    if narrower:
        return "other-namespace"
    if grant.target == "namespaces" and grant.verb in {"get", "list", "watch"}:
        return "namespaces-view"
    if grant.target == "operatorconditions.operators.coreos.com" and grant.name:
        return "olm-condition"
    if _serves(world, grant.account) and (
        grant.target in {"tokenreviews.authentication.k8s.io", "subjectaccessreviews.authorization.k8s.io"}
        or grant.name == "extension-apiserver-authentication"
        or (grant.target == "secrets" and grant.name.endswith("-service-cert"))
    ):
        return "serving-rights"
    return ""


def _serves(world: World, account: str) -> bool:
    apis = (world.bundle.spec.get("apiservicedefinitions") or {}).get("owned") or ()
    names = {item.get("deploymentName") for item in (*world.bundle.webhooks, *apis)}
    pods = [d["spec"]["template"]["spec"] for d in world.bundle.deployments if d.get("name") in names]
    return any(str(pod.get("serviceAccountName") or "default") == account for pod in pods)


def compare_accounts(world: World) -> Iterator[Notice]:
    """Find accounts of the rendering that nobody makes under OLM."""
    there = {obj.name for obj in by_kind(world.cluster, "ServiceAccount")}
    for obj in by_kind(world.rendered, "ServiceAccount"):
        if obj.name not in there:
            yield world.error(obj.ref, "nobody creates it under OLM")
