"""One installation of our operator by OLM: an OperatorGroup and a Subscription in a namespace of its own."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit
from e2e.olm.packages import DEPLOYMENT, PACKAGE, csv
from kopf_sdk.testing.cluster import Cluster
from waiting import eventually

ALL: list[str] = []
"""Target namespaces of the install mode AllNamespaces."""


class Installation:
    """What one namespace has of OLM's objects and of the operator."""

    def __init__(self, cluster: Cluster, namespace: str, catalog: str) -> None:
        self.cluster, self.namespace, self.catalog = cluster, namespace, catalog

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def find(self, *arguments: str) -> list[dict[str, Any]]:
        """What `kubectl get` with these arguments finds in the namespace, if anything."""
        found = self.kubectl("get", *arguments, "--ignore-not-found", "--output", "json")
        if not found:
            return []
        answer = json.loads(found)
        return list(answer["items"]) if "items" in answer else [answer]

    def target(self, namespaces: list[str]) -> None:
        """Make the OperatorGroup, or edit it."""
        group = {
            "apiVersion": "operators.coreos.com/v1",
            "kind": "OperatorGroup",
            "metadata": {"name": "group", "namespace": self.namespace},
            "spec": {"targetNamespaces": namespaces},
        }
        self.cluster.apply(json.dumps(group))

    def subscribe(
        self, channel: str, *, start: str = "", manual: bool = False, env: dict[str, str] | None = None
    ) -> None:
        """Make the Subscription, or edit it."""
        spec: dict[str, Any] = {
            "source": self.catalog,
            "sourceNamespace": "olm",
            "name": PACKAGE,
            "channel": channel,
            "installPlanApproval": "Manual" if manual else "Automatic",
        }
        if start:
            spec["startingCSV"] = csv(start)
        if env:
            spec["config"] = {"env": [{"name": name, "value": value} for name, value in env.items()]}
        subscription = {
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "Subscription",
            "metadata": {"name": PACKAGE, "namespace": self.namespace},
            "spec": spec,
        }
        self.cluster.apply(json.dumps(subscription))

    def plan(self, version: str) -> dict[str, Any]:
        """The InstallPlan for a version, as soon as OLM has made it and waits for its approval, or does not have to.

        One that is approved before OLM has written its status is never carried out: OLM makes another one.
        """

        def found() -> dict[str, Any]:
            plans = [plan for plan in self.find("installplans") if plan.get("status", {}).get("phase")]
            return next((plan for plan in plans if csv(version) in plan["spec"]["clusterServiceVersionNames"]), {})

        return eventually(found)

    def approve(self, version: str) -> None:
        """Wait for the InstallPlan of a version and approve it."""
        name = self.plan(version)["metadata"]["name"]
        self.kubectl("patch", "installplan", name, "--type=merge", '--patch={"spec":{"approved":true}}')

    def phase(self, version: str) -> str:
        """The phase of a version's CSV, with its reason and message; empty when there is none."""
        status: dict[str, str] = next((item.get("status") or {} for item in self.find("csv", csv(version))), {})
        return " ".join(filter(None, (status.get("phase"), status.get("reason"), status.get("message"))))

    def succeed(self, version: str, within: float = 300.0) -> None:
        """Wait until OLM says that a version is installed and its one pod is the only one."""
        eventually(lambda: self.phase(version).startswith("Succeeded InstallSucceeded"), within=within)
        self.kubectl("rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=240s")

    def install(self, targets: list[str], version: str, channel: str, **options: Any) -> None:
        """Install a version and wait for it; the channel must not lead on from it, or approval be manual."""
        self.target(targets)
        self.subscribe(channel, start=version, **options)
        if options.get("manual"):
            self.approve(version)
        self.succeed(version)

    def uninstall(self) -> None:
        """As documented: Subscription, then CSV; InstallPlans go too. What the operator made stays.

        Returns when nothing is left of what OLM made: what is installed next could have the same names.
        """
        self.kubectl("delete", "subscriptions,installplans", "--all", "--ignore-not-found")
        self.kubectl("delete", "csv", "--all", "--ignore-not-found")
        eventually(lambda: not self._made_by_olm())
        eventually(lambda: not self.find("pods", "--selector=app.kubernetes.io/component=controller-manager"))

    def _made_by_olm(self) -> list[str]:
        kinds = "deployments,serviceaccounts,services,secrets,configmaps,roles,rolebindings,poddisruptionbudgets"
        return [
            f"{item['kind']}/{item['metadata']['name']}"
            for item in self.find(kinds)
            for owner in item["metadata"].get("ownerReferences", ())
            if owner["kind"] in ("ClusterServiceVersion", "OperatorCondition")
        ]

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods that are not on their way out."""
        pods = self.find("pods", "--selector=app.kubernetes.io/component=controller-manager")
        return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]

    def pod(self) -> str:
        """The name of the operator's only pod, as soon as it is the only one."""
        (pod,) = eventually(lambda: pods if len(pods := self.pods()) == 1 else [])
        return str(pod["metadata"]["name"])

    def logs(self) -> str:
        return self.kubectl("logs", f"deployment/{DEPLOYMENT}", "--tail=-1")

    def may(self, verb: str, plural: str, namespace: str) -> bool:
        """Whether the operator's ServiceAccount has this right in a namespace."""
        account = f"system:serviceaccount:{self.namespace}:{DEPLOYMENT}"
        spec = {
            "user": account,
            "resourceAttributes": {"verb": verb, "resource": plural, "namespace": namespace},
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        _, answer = self.cluster.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    def told(self) -> list[str]:
        """What the operator's pod has told OLM since it started: status, and what it waits for, if anything."""
        said = [json.loads(line)["msg"] for line in self.logs().splitlines() if "told OLM: " in line]
        return [message.partition("Upgradeable=")[2] for message in said]

    def leader(self) -> str:
        """Who holds the lease."""
        return "".join(lease["spec"].get("holderIdentity") or "" for lease in self.find("lease", f"{PACKAGE}-leader"))

    def upgradeable(self, version: str) -> str:
        """What OLM has heard: status, reason and message of the condition Upgradeable."""
        conditions = [
            condition
            for item in self.find("operatorcondition", csv(version))
            for condition in (item.get("status") or {}).get("conditions") or ()
            if condition["type"] == "Upgradeable"
        ]
        return "".join(f"{c['status']} {c['reason']} {c['message']}" for c in conditions)


class Requests:
    """What pods asked of the API server since this object was made (from the audit log)."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._begin = audit.position(log)

    def made(self, pod: str, keep: Callable[[dict[str, Any]], bool] = lambda event: True) -> list[dict[str, Any]]:
        """Requests of a pod, or of those whose names begin like this."""
        events = audit.events(self._log, self._begin, about=pod)
        return [event for event in events if _pod(event).startswith(pod) and keep(event)]

    def watched(self, pod: str) -> set[tuple[str, str]]:
        """Plural and namespace (empty: all) of everything watched successfully."""
        watches = self.made(pod, lambda event: event["verb"] == "watch" and _code(event) == 200)
        return {(event["objectRef"]["resource"], event["objectRef"].get("namespace", "")) for event in watches}

    def namespaces(self, pod: str) -> set[str]:
        """Namespaces that objects were read or written in (empty: all), beside what the process needs for itself."""
        own = ("leases", "operatorconditions", "tokenreviews", "subjectaccessreviews")
        events = self.made(pod, lambda event: event.get("objectRef", {}).get("resource", own[0]) not in own)
        return {
            event["objectRef"].get("namespace", "")
            for event in events
            if "namespace" in event["objectRef"] or _code(event) == 200
        }

    def in_turn(self, namespace: str, *, leases: bool) -> list[tuple[dt.datetime, str]]:
        """When which of the operator's pods renewed its lease, or else changed something, in order."""
        written = ("create", "update", "patch", "delete")
        not_as_leader = ("events", "tokenreviews", "subjectaccessreviews")

        def counts(event: dict[str, Any]) -> bool:
            reference = event.get("objectRef") or {}
            plural = reference.get("resource", "")
            meant = plural == "leases" if leases else plural not in ("leases", *not_as_leader)
            return meant and reference.get("namespace") == namespace and event["verb"] in written and _code(event) < 300

        events = self.made(f"{DEPLOYMENT}-", counts)
        return sorted((dt.datetime.fromisoformat(event["stageTimestamp"]), _pod(event)) for event in events)

    def refused(self, pod: str) -> list[str]:
        """Requests that its rights did not allow."""
        events = self.made(pod, lambda event: _code(event) in (401, 403))
        return sorted({f"{event['verb']} {event['requestURI']}" for event in events})


def _pod(event: dict[str, Any]) -> str:
    names = (event["user"].get("extra") or {}).get("authentication.kubernetes.io/pod-name") or [""]
    return str(names[0])


def _code(event: dict[str, Any]) -> int:
    return int(event.get("responseStatus", {}).get("code", 0))
