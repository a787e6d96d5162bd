"""What OLM made of a subscription so far, and what keeps it from going on; pure functions over one look at a namespace.

Every sentence quotes OLM: conditions of the Subscription, steps of the InstallPlan, phase and requirements of the
ClusterServiceVersion, and the pods that these make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from kopf_sdk.olm.pods import pod_problem, waiting_for

__all__ = ["KINDS", "Trouble", "View"]

Object = Mapping[str, Any]

KINDS = (
    "catalogsources.operators.coreos.com",
    "subscriptions.operators.coreos.com",
    "installplans.operators.coreos.com",
    "clusterserviceversions.operators.coreos.com",
    "operatorgroups.operators.coreos.com",
    "deployments.apps",
    "pods",
)
"""What a view is made of."""

_COPIED = "olm.copiedFrom"
_PULL_HINT = "is the name right, and can the nodes pull it? On a local cluster: kopf-sdk cluster load-image"
# ClusterServiceVersions that OLM fails for these reasons stay failed until somebody changes something.
_FINAL = {
    "CannotModifyStaticOperatorGroupProvidedAPIs",
    "InstallComponentFailedNoRetry",
    "InterOperatorGroupOwnerConflict",
    "InvalidInstallModes",
    "InvalidInstallStrategy",
    "InvalidWebhookDescription",
    "NoOperatorGroup",
    "NoTargetNamespaces",
    "OwnerConflict",
    "TooManyOperatorGroups",
    "UnsupportedOperatorGroup",
}
_HINTS = {
    "NoOperatorGroup": "create one: `kopf-sdk run bundle` makes it where there is none",
    "TooManyOperatorGroups": "keep one of them: kubectl --namespace {namespace} get operatorgroups",
    "UnsupportedOperatorGroup": "change the OperatorGroup's targetNamespaces to a mode that spec.installModes supports",
    "InterOperatorGroupOwnerConflict": "another OperatorGroup's operator provides the same API for these namespaces",
}


@dataclass(frozen=True)
class Trouble:
    """A reason not to wait any longer.

    Attributes
    ----------
    final
        False when OLM may still get over it by itself, as while a catalog starts.
    pod
        Name of the pod that it is about, for its events and its log.
    pull
        Whether an image cannot be pulled.
    """

    text: str
    hint: str = ""
    final: bool = True
    pod: str = ""
    pull: bool = False


class View:
    """The objects of one namespace that have to do with OLM.

    Parameters
    ----------
    items
        What `kubectl get` of `KINDS` lists.
    """

    def __init__(self, namespace: str, items: Sequence[Object]) -> None:
        self.namespace = namespace
        self._copies = [item for item in items if _is_copy(item)]
        self._items = [item for item in items if not _is_copy(item)]

    def of(self, kind: str) -> list[Object]:
        """Return every object of a kind."""
        return [item for item in self._items if item["kind"] == kind]

    def find(self, kind: str, name: str) -> Object | None:
        return next((item for item in self.of(kind) if item["metadata"]["name"] == name), None)

    def subscription(self, package: str) -> Object | None:
        """Return the subscription to a package."""
        return next((item for item in self.of("Subscription") if item["spec"]["name"] == package), None)

    def catalog_ready(self, name: str) -> bool:
        """Whether OLM talks with a catalog."""
        state = ((self.find("CatalogSource", name) or {}).get("status") or {}).get("connectionState") or {}
        return state.get("lastObservedState") == "READY"

    def plan_for(self, csv: str) -> Object | None:
        """Return the InstallPlan that brings a version: the one that a Subscription refers to, else the newest.

        There may be several: OLM makes another one when the first was touched before it had written its status.
        """
        plans = [item for item in self.of("InstallPlan") if csv in item["spec"].get("clusterServiceVersionNames", ())]
        meant = {
            ((item.get("status") or {}).get("installPlanRef") or {}).get("name") for item in self.of("Subscription")
        }
        return max(plans, key=lambda plan: (plan["metadata"]["name"] in meant, _age(plan)), default=None)

    def owner_elsewhere(self, crds: Set[str]) -> str:
        """Return who provides one of these CRDs here from another namespace (OLM shows it as a copy); or nothing."""
        for copy in self._copies:
            owned = (copy["spec"].get("customresourcedefinitions") or {}).get("owned") or ()
            if crds & {str(crd.get("name")) for crd in owned}:
                return f"{copy['metadata']['name']} in namespace {copy['metadata']['labels'][_COPIED]}"
        return ""

    def phase(self, csv: str) -> str:
        """Return the phase of a ClusterServiceVersion; empty when it is not there."""
        return str(((self.find("ClusterServiceVersion", csv) or {}).get("status") or {}).get("phase") or "")

    def trouble(self, *, package: str, csv: str) -> Trouble | None:
        """Return the first reason why a ClusterServiceVersion of a package will not come about, nearest cause first."""
        found = [*self._troubles(package, csv)]
        return next((item for item in found if item.final), found[0] if found else None)

    def waits_for(self, *, package: str, csv: str) -> str:
        """Return how far OLM has come and what it waits for, for a timeout."""
        subscription = self.subscription(package)
        if subscription is None:
            return f"there is no Subscription to {package}"
        plan = self.plan_for(csv)
        if plan is None:
            state = (subscription.get("status") or {}).get("state") or "no state yet"
            return f"OLM has made no InstallPlan for {csv} (Subscription {subscription['metadata']['name']}: {state})"
        words = [f"InstallPlan {plan['metadata']['name']} is {(plan.get('status') or {}).get('phase')}"]
        words += _open_steps(plan)[:3]
        words += [f"bundle of {lookup.get('identifier')}: {text}" for lookup, text in _lookups(plan)]
        found = self.find("ClusterServiceVersion", csv)
        if found is not None:
            status = found.get("status") or {}
            words.append(f"{csv} is {status.get('phase')} ({status.get('reason')}: {status.get('message')})")
            words += _unmet(found)
        words += [why for pod in self._pods(csv) if (why := waiting_for(pod))]
        return "; ".join(words)

    def _troubles(self, package: str, csv: str) -> Iterator[Trouble]:
        yield from self._group_troubles()
        for pod in self._pods(csv):
            if problem := pod_problem(pod):
                pull = "cannot be pulled" in problem
                yield Trouble(problem, _PULL_HINT if pull else "", pod=pod["metadata"]["name"], pull=pull)
        yield from self._deployment_troubles(csv)
        yield from self._version_troubles(csv)
        plan = self.plan_for(csv)
        if plan is not None:
            yield from self._plan_troubles(plan)
        yield from self._subscription_troubles(package, resolved=plan is not None)

    def _group_troubles(self) -> Iterator[Trouble]:
        """Of a namespace without exactly one OperatorGroup OLM says nothing at all: it leaves the namespace alone."""
        groups = sorted(item["metadata"]["name"] for item in self.of("OperatorGroup"))
        if len(groups) == 1 or not self.of("Subscription"):
            return
        if groups:
            text = f"has {len(groups)} OperatorGroups ({', '.join(groups)}): OLM installs nothing there"
            hint = f"keep one of them: kubectl --namespace {self.namespace} delete operatorgroup {groups[-1]}"
        else:
            text = "has no OperatorGroup: OLM installs nothing there"
            hint = "create one in the namespace; `kopf-sdk run bundle` makes it where there is none"
        yield Trouble(f"namespace {self.namespace} {text}", hint)

    def _pods(self, csv: str) -> Iterator[Object]:
        """Pods of catalogs and of unpack Jobs, and those of the version's deployments."""
        found = self.find("ClusterServiceVersion", csv)
        strategy = (((found or {}).get("spec") or {}).get("install") or {}).get("spec") or {}
        selectors = [
            ((deployment.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
            for deployment in strategy.get("deployments") or ()
        ]
        for pod in self.of("Pod"):
            labels = pod["metadata"].get("labels") or {}
            of_olm = labels.keys() & {"olm.catalogSource", "operatorframework.io/bundle-unpack-ref"}
            if of_olm or any(selector and selector.items() <= labels.items() for selector in selectors):
                yield pod

    def _deployment_troubles(self, csv: str) -> Iterator[Trouble]:
        for item in self.of("Deployment"):
            if (item["metadata"].get("labels") or {}).get("olm.owner") != csv:
                continue
            for condition in (item.get("status") or {}).get("conditions") or ():
                failing = (condition["type"], condition["status"]) in {
                    ("ReplicaFailure", "True"),
                    ("Progressing", "False"),
                }
                if failing:
                    text = (
                        f"Deployment {item['metadata']['name']}: {condition.get('reason')}: {condition.get('message')}"
                    )
                    yield Trouble(text)

    def _version_troubles(self, csv: str) -> Iterator[Trouble]:
        found = self.find("ClusterServiceVersion", csv)
        status = (found or {}).get("status") or {}
        reason, message = str(status.get("reason")), str(status.get("message"))
        if status.get("phase") == "Failed":
            hint = _HINTS.get(reason, "").format(namespace=self.namespace)
            yield Trouble(f"OLM failed {csv} ({reason}: {message})", hint, final=reason in _FINAL)
        elif found is not None and status.get("phase") == "Pending" and (unmet := _unmet(found)):
            plan = self.plan_for(csv)
            if plan is not None and (plan.get("status") or {}).get("phase") == "Installing":
                return  # OLM writes the version first, and then what it requires: CRDs, accounts, rights
            yield Trouble(f"{csv} is Pending ({reason}: {message}): {'; '.join(unmet[:3])}", final=False)

    def _plan_troubles(self, plan: Object) -> Iterator[Trouble]:
        status = plan.get("status") or {}
        where = f"InstallPlan {plan['metadata']['name']}"
        if status.get("phase") == "Failed":
            conditions = status.get("conditions") or ()
            said = [f"{c.get('reason')}: {c.get('message')}" for c in conditions if c.get("status") == "False"]
            steps = _open_steps(plan)
            yield Trouble("; ".join([f"{where} failed", *said, *steps[:2]]))
        elif status.get("message"):
            text = str(status["message"])
            group = "operator group" in text
            hint = "a namespace has exactly one OperatorGroup: kubectl get operatorgroups" if group else ""
            yield Trouble(f"{where}: {text}", hint, final=group)
        for lookup in status.get("bundleLookups") or ():
            for condition in lookup.get("conditions") or ():
                if (condition.get("type"), condition.get("status")) == ("BundleLookupFailed", "True"):
                    yield Trouble(f"{where}: the bundle of {lookup.get('identifier')}: {condition.get('message')}")

    def _subscription_troubles(self, package: str, *, resolved: bool) -> Iterator[Trouble]:
        """Once there is a plan, what OLM says of resolving is about the next one.

        While a version replaces another it resolves again and again, and fails as long as both are there.
        """
        subscription = self.subscription(package)
        where = f"Subscription {subscription['metadata']['name']}" if subscription is not None else ""
        for condition in ((subscription or {}).get("status") or {}).get("conditions") or ():
            kind, message = condition["type"], condition.get("message")
            if condition["status"] != "True":
                continue
            if kind in {"BundleUnpackFailed", "InstallPlanFailed"}:
                yield Trouble(f"{where}: {kind}: {condition.get('reason')}: {message}")
            elif kind in {"ResolutionFailed", "CatalogSourcesUnhealthy"} and not resolved and not _is_starting(message):
                yield Trouble(f"{where}: {kind}: {condition.get('reason')}: {message}", final=False)


def _is_starting(message: str) -> bool:
    """Whether OLM found nobody at the catalog's address: its pod was just replaced, and if it fails, that is seen."""
    return "code = Unavailable" in message and "connection refused" in message


def _is_copy(item: Object) -> bool:
    return _COPIED in (item["metadata"].get("labels") or {})


def _age(plan: Object) -> tuple[str, int]:
    return plan["metadata"]["creationTimestamp"], int(plan["spec"].get("generation") or 0)


def _open_steps(plan: Object) -> list[str]:
    """The steps of a plan that are not done; plans that wait for their turn have them all open."""
    steps = (plan.get("status") or {}).get("plan") or ()
    return [
        f"step {step['resource'].get('kind')} {step['resource'].get('name')} is {step.get('status')}"
        for step in steps
        if step.get("status") not in {"Present", "Created"}
    ]


def _lookups(plan: Object) -> Iterator[tuple[Object, str]]:
    for lookup in (plan.get("status") or {}).get("bundleLookups") or ():
        for condition in lookup.get("conditions") or ():
            if condition.get("status") == "True":
                yield lookup, f"{condition.get('type')}: {condition.get('message')}"


def _unmet(version: Object) -> list[str]:
    """Requirements of a ClusterServiceVersion that the cluster does not meet."""
    return [
        f"{item.get('kind')} {item.get('name')} is {item.get('status')}"
        + (f" ({item['message']})" if item.get("message") else "")
        for item in (version.get("status") or {}).get("requirementStatus") or ()
        if item.get("status") not in {"Present", "Satisfied"}
    ]
