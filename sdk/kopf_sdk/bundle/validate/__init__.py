"""Bundles checked offline, by the rules of the tools that will judge them, in one pass.

Every rule is a pure function from a bundle to findings; the suites are lists of them. A profile names its suites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.findings import Finding
from kopf_sdk.bundle.profile import Profile
from kopf_sdk.bundle.validate import (
    advice,
    community,
    content,
    crd,
    csv,
    deprecated_apis,
    good_practices,
    layout,
    objects,
    olm_v1,
    operatorhub,
    scorecard,
)

__all__ = ["SUITES", "validate"]

Rule = Callable[[Bundle], Iterator[Finding]]

SUITES: dict[str, tuple[Rule, ...]] = {
    # operator-sdk bundle validate, without options
    "default": (*layout.RULES, *csv.RULES, *crd.RULES, *content.RULES),
    # ... with --select-optional suite=operatorframework
    "operatorframework": (*operatorhub.RULES, *deprecated_apis.RULES, *good_practices.RULES),
    # validators of operator-framework/api that no suite selects
    "objects": objects.RULES,
    # operator-controller, internal/operator-controller/rukpak/render/registryv1/validators
    "olm-v1": olm_v1.RULES,
    # operator-sdk scorecard, the tests that need no cluster
    "scorecard": scorecard.RULES,
    # operator-pipelines, static tests
    "community": community.RULES,
    "openshift": community.OPENSHIFT_RULES,
    # what none of them looks at and what keeps a bundle from installing
    "advice": advice.RULES,
}


def validate(bundle: Bundle, profile: Profile) -> list[Finding]:
    """Return the findings of every suite of a profile, each finding once."""
    findings: dict[Finding, None] = {}
    for suite in profile.suites:
        for rule in SUITES[suite]:
            findings.update(dict.fromkeys(rule(bundle)))
    return list(findings)
