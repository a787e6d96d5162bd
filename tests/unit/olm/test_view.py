"""What keeps OLM from going on, told from the objects in a namespace."""

from __future__ import annotations

from typing import Any

from kopf_sdk.olm.pods import pod_problem, waiting_for
from kopf_sdk.olm.view import Trouble, View

CSV = "op.v1.0.0"


def named(kind: str, name: str, *, labels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "own", "labels": labels or {}, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": kind, "metadata": metadata, "spec": {}, **more}


def pod(name: str, state: dict[str, Any], *, restarts: int = 0, labels: dict[str, str] | None = None) -> dict[str, Any]:
    status = {"name": "manager", "image": "a/b:1", "restartCount": restarts, "state": state}
    return named("Pod", name, labels=labels, status={"containerStatuses": [status]})


GROUP = named("OperatorGroup", "group")
SUBSCRIPTION = named("Subscription", "sub", spec={"name": "op"})


def subscribed(*conditions: dict[str, str], plan: str = "") -> dict[str, Any]:
    reference = {"installPlanRef": {"name": plan}} if plan else {}
    return {**SUBSCRIPTION, "status": {"conditions": list(conditions), **reference}}


def plan(name: str = "install-a", **status: Any) -> dict[str, Any]:
    return named("InstallPlan", name, spec={"clusterServiceVersionNames": [CSV]}, status=status)


def version(phase: str, reason: str = "", message: str = "", **status: Any) -> dict[str, Any]:
    deployments = [{"name": "op", "spec": {"selector": {"matchLabels": {"app": "op"}}}}]
    said = {"phase": phase, "reason": reason, "message": message, **status}
    return named("ClusterServiceVersion", CSV, spec={"install": {"spec": {"deployments": deployments}}}, status=said)


def trouble(*items: dict[str, Any]) -> Trouble | None:
    return View("own", items).trouble(package="op", csv=CSV)


def final(*items: dict[str, Any]) -> str:
    found = trouble(*items)
    assert found is not None
    assert found.final
    return found.text


def passing(*items: dict[str, Any]) -> str:
    found = trouble(*items)
    assert found is not None
    assert not found.final
    return found.text


def test_olm_leaves_a_namespace_alone_that_has_not_one_operator_group() -> None:
    assert final(SUBSCRIPTION) == "namespace own has no OperatorGroup: OLM installs nothing there"
    assert "has 2 OperatorGroups (a, b)" in final(
        SUBSCRIPTION, named("OperatorGroup", "b"), named("OperatorGroup", "a")
    )
    assert trouble(SUBSCRIPTION, GROUP) is None
    assert trouble() is None


def test_an_image_that_cannot_be_pulled_is_final_at_once_wherever_it_is_needed() -> None:
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "no  such\nimage"}}
    said = "container manager: the image a/b:1 cannot be pulled (ErrImagePull: no such image)"
    for labels in ({"olm.catalogSource": "c"}, {"operatorframework.io/bundle-unpack-ref": "u"}, {"app": "op"}):
        broken = pod("p", waiting, labels=labels)
        assert final(SUBSCRIPTION, GROUP, version("Installing"), broken) == f"pod p, {said}"
    assert trouble(SUBSCRIPTION, GROUP, version("Installing"), pod("p", waiting, labels={"app": "else"})) is None


def test_a_container_may_end_once() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    assert pod_problem(pod("p", waiting, restarts=1)) == ""
    assert pod_problem(pod("p", waiting, restarts=2)).startswith("pod p, container manager ends again and again")
    assert waiting_for(pod("p", waiting)) == "pod p, container manager waits: CrashLoopBackOff"


def test_what_olm_fails_for_good_is_final_and_the_rest_may_pass() -> None:
    group = version("Failed", "UnsupportedOperatorGroup", "AllNamespaces InstallModeType not supported")
    assert final(SUBSCRIPTION, GROUP, group) == (
        f"OLM failed {CSV} (UnsupportedOperatorGroup: AllNamespaces InstallModeType not supported)"
    )
    assert "ComponentUnhealthy" in passing(SUBSCRIPTION, GROUP, version("Failed", "ComponentUnhealthy", "not ready"))
    assert trouble(SUBSCRIPTION, GROUP, version("Succeeded")) is None


def test_requirements_that_are_not_met_are_named() -> None:
    unmet = {"kind": "CustomResourceDefinition", "name": "x.example.com", "status": "NotPresent", "message": "no CRD"}
    met = {"kind": "ServiceAccount", "name": "op", "status": "Present"}
    text = passing(SUBSCRIPTION, GROUP, version("Pending", "RequirementsNotMet", "one", requirementStatus=[met, unmet]))
    assert text.endswith("CustomResourceDefinition x.example.com is NotPresent (no CRD)")


def test_what_a_plan_has_yet_to_make_is_no_requirement_that_is_not_met() -> None:
    unmet = {"kind": "CustomResourceDefinition", "name": "x.example.com", "status": "NotPresent"}
    pending = version("Pending", "RequirementsNotMet", "one", requirementStatus=[unmet])
    assert trouble(SUBSCRIPTION, GROUP, plan(phase="Installing"), pending) is None
    assert "x.example.com is NotPresent" in passing(SUBSCRIPTION, GROUP, plan(phase="Complete"), pending)


def test_a_failed_plan_says_its_conditions_and_its_step() -> None:
    steps = [
        {"status": "Created", "resource": {"kind": "ClusterRole", "name": "a"}},
        {"status": "Unknown", "resource": {"kind": "PodMonitor", "name": "b"}},
    ]
    condition = {"status": "False", "reason": "InstallComponentFailed", "message": "no matches for kind"}
    failed = plan(phase="Failed", conditions=[condition], plan=steps)
    assert final(SUBSCRIPTION, GROUP, failed) == (
        "InstallPlan install-a failed; InstallComponentFailed: no matches for kind; step PodMonitor b is Unknown"
    )


def test_resolution_may_recover_and_unpacking_does_not() -> None:
    resolving = {"type": "ResolutionFailed", "status": "True", "reason": "ConstraintsNotSatisfiable", "message": "why"}
    unpacking = {"type": "BundleUnpackFailed", "status": "True", "reason": "DeadlineExceeded", "message": "late"}
    assert passing(subscribed(resolving), GROUP) == (
        "Subscription sub: ResolutionFailed: ConstraintsNotSatisfiable: why"
    )
    assert "DeadlineExceeded: late" in final(subscribed(resolving, unpacking), GROUP)
    assert trouble(subscribed({**resolving, "status": "False"}), GROUP) is None


def test_resolution_fails_while_a_version_replaces_another_and_that_is_no_trouble() -> None:
    both = {"type": "ResolutionFailed", "status": "True", "reason": "ConstraintsNotSatisfiable", "message": "v0 exists"}
    upgrading = (plan(phase="Complete"), version("Installing", "InstallSucceeded", "waiting"))
    assert trouble(subscribed(both), GROUP, *upgrading) is None
    assert trouble(subscribed(both), GROUP) is not None


def test_a_catalog_whose_pod_was_just_replaced_is_waited_for() -> None:
    message = "failed to list bundles: rpc error: code = Unavailable desc = dial tcp 10.0.0.1:50051: connection refused"
    refused = {"type": "ResolutionFailed", "status": "True", "reason": "ErrorPreventedResolution", "message": message}
    assert trouble(subscribed(refused), GROUP) is None


def test_a_deployment_that_gets_no_pods_is_final() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "violates restricted"}
    deployment = named("Deployment", "op", labels={"olm.owner": CSV}, status={"conditions": [condition]})
    assert final(SUBSCRIPTION, GROUP, deployment) == "Deployment op: FailedCreate: violates restricted"
    foreign = named("Deployment", "x", status={"conditions": [condition]})
    assert trouble(SUBSCRIPTION, GROUP, foreign) is None


def test_of_two_plans_the_one_counts_that_the_subscription_means() -> None:
    view = View("own", [subscribed(plan="install-a"), plan("install-a"), plan("install-b")])
    found = view.plan_for(CSV)
    assert found is not None
    assert found["metadata"]["name"] == "install-a"
    assert view.plan_for("other.v1") is None


def test_a_timeout_says_how_far_it_came() -> None:
    assert View("own", []).waits_for(package="op", csv=CSV) == "there is no Subscription to op"
    view = View("own", [subscribed()])
    assert view.waits_for(package="op", csv=CSV) == (
        f"OLM has made no InstallPlan for {CSV} (Subscription sub: no state yet)"
    )
    lookup = {"identifier": CSV, "conditions": [{"type": "BundleLookupPending", "status": "True", "message": "job"}]}
    view = View("own", [subscribed(), plan(phase="Installing", bundleLookups=[lookup]), version("Pending", "R", "m")])
    assert view.waits_for(package="op", csv=CSV) == (
        f"InstallPlan install-a is Installing; bundle of {CSV}: BundleLookupPending: job; {CSV} is Pending (R: m)"
    )


def test_a_copy_of_another_namespaces_version_is_not_ours() -> None:
    copy = version("Succeeded")
    copy["metadata"]["labels"] = {"olm.copiedFrom": "operators"}
    copy["spec"]["customresourcedefinitions"] = {"owned": [{"name": "xs.example.com"}]}
    view = View("own", [copy])
    assert view.phase(CSV) == ""
    assert view.owner_elsewhere({"xs.example.com"}) == f"{CSV} in namespace operators"
    assert view.owner_elsewhere({"ys.example.com"}) == ""
