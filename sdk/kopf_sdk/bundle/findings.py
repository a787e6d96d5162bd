"""A finding of validation: which rule, where in the bundle, what is wrong, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kopf_sdk.bundle.fate import Level

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes
    ----------
    suite
        The suite the rule belongs to: default, operatorframework, objects, olm-v1, scorecard, community, openshift,
        advice.
    rule
        Its name, e.g. `csv/install-modes`.
    where
        File and field path.
    upstream
        The message of the upstream tool that says the same, for comparison; empty when there is none.
    """

    level: Level
    rule: str
    where: str
    message: str
    hint: str = ""
    upstream: str = ""
    suite: str = "default"

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for JSON."""
        return {
            "level": self.level.value,
            "suite": self.suite,
            "rule": self.rule,
            "where": self.where,
            "message": self.message,
            "hint": self.hint or None,
        }
