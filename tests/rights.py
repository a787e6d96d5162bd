"""What an account was granted, and what it did by the API server's audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import audit
from kopf_sdk.runtime.permissions import PolicyRule

__all__ = ["Right", "granted", "refused", "used"]

Right = tuple[str, str, str]
"""API group, resource (with its subresource), verb."""


def granted(rules: Iterable[PolicyRule]) -> set[Right]:
    """Return every single right in these rules."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    }


def used(audit_log: Path, user: str) -> set[Right]:
    """Return the rights that a user needed for what it did.

    An apply that makes an object is a patch by its verb, and the API server asks for the right to create as well.
    """
    found = set()
    for event in _events(audit_log, user):
        group, resource = _place(event)
        if resource:
            found.add((group, resource, event["verb"]))
        if event["verb"] == "patch" and event["responseStatus"]["code"] == 201:
            found.add((group, resource, "create"))
    return found


def refused(audit_log: Path, user: str) -> list[str]:
    """Return the requests that were forbidden for want of a right, not by a quota or a policy."""
    return [
        f"{event['verb']} {event['requestURI']}"
        for event in _events(audit_log, user)
        if event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
    ]


def _events(audit_log: Path, user: str) -> Iterator[dict[str, Any]]:
    for event in audit.events(audit_log, about=user):
        if event["user"]["username"] == user and "responseStatus" in event:
            yield event


def _place(event: dict[str, Any]) -> tuple[str, str]:
    ref = event.get("objectRef", {})
    resource = "/".join(filter(None, (ref.get("resource"), ref.get("subresource"))))
    return ref.get("apiGroup", ""), resource
