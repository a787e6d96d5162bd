"""OpenShift is recognized by its API. The operator does not forget it: this comes after the other tests."""

from __future__ import annotations

import yaml

from integration.operator.conftest import Kubernetes, stand_in
from waiting import eventually


def test_no_user_is_named_where_openshift_names_one(kubernetes: Kubernetes) -> None:
    kubernetes.apply("cache")
    context = eventually(lambda: kubernetes.stateful_set("cache"))["spec"]["template"]["spec"]["securityContext"]
    assert context["runAsUser"] == 11211
    definition = yaml.safe_dump(stand_in("security.openshift.io", "SecurityContextConstraint"))
    kubernetes.cluster.apply(definition)
    try:
        names = iter(range(1000))

        def named() -> bool:
            name = f"cache{next(names)}"
            kubernetes.apply(name)
            template = eventually(lambda: kubernetes.stateful_set(name))["spec"]["template"]
            return "runAsUser" in template["spec"]["securityContext"]

        eventually(lambda: not named())
    finally:
        kubernetes.cluster.kubectl("delete", "crd", "securitycontextconstraints.security.openshift.io")
