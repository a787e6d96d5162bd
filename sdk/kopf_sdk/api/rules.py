"""CEL rules, which the API server alone checks, and the ones that everybody needs sooner or later.

A rule stands where what it guards stands: in `Annotated[...]` of a field, in the class statement of a model or of a
resource. `self` is that field, model or resource. See https://kubernetes.io/docs/reference/using-api/cel/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

__all__ = ["Rule", "at_least_one_of", "at_most_one_of", "exactly_one_of", "immutable"]

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]


@dataclass(frozen=True)
class Rule:
    """One entry of `x-kubernetes-validations`.

    Parameters
    ----------
    rule
        The expression. One that reads `oldSelf` is a transition rule: it is checked on updates only.
    message
        What the user is told; without it, the expression itself.
    message_expression
        A CEL expression that makes the message, used instead of `message` when it evaluates.
    reason
        The machine-readable cause in the answer; FieldValueInvalid when empty.
    field_path
        The field below `self` that is to blame, like `.maxSize`.
    optional_old_self
        Check a transition rule on creation too; `oldSelf` is then an optional.
    """

    rule: str
    message: str = ""
    message_expression: str = ""
    reason: Reason | Literal[""] = ""
    field_path: str = ""
    optional_old_self: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the API writes it, without what was not set."""
        entry: dict[str, Any] = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.message_expression,
            "reason": self.reason,
            "fieldPath": self.field_path,
            "optionalOldSelf": self.optional_old_self,
        }
        return {key: value for key, value in entry.items() if value not in ("", None)}

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Stand in `Annotated[...]`: append to the rules of the field."""
        schema = handler(core_schema)
        schema.setdefault("x-kubernetes-validations", []).append(self.to_json())
        return schema


def immutable(message: str = "is immutable") -> Rule:
    """Return the rule that a field keeps the value it was created with.

    The field of a model that may be absent can still be set once, or removed: make it required or give it a default.
    """
    return Rule("self == oldSelf", message=message)


def exactly_one_of(*fields: str, message: str = "") -> Rule:
    """Return the rule that one of the fields (JSON names) is set, not more and not less."""
    return _count("==", fields, message or f"exactly one of {_names(fields)} must be set")


def at_most_one_of(*fields: str, message: str = "") -> Rule:
    """Return the rule that the fields (JSON names) exclude each other."""
    return _count("<=", fields, message or f"at most one of {_names(fields)} may be set")


def at_least_one_of(*fields: str, message: str = "") -> Rule:
    """Return the rule that one of the fields (JSON names) is set, or more."""
    return _count(">=", fields, message or f"at least one of {_names(fields)} must be set")


def _count(comparison: str, fields: tuple[str, ...], message: str) -> Rule:
    present = ", ".join(f"has(self.{name})" for name in fields)
    return Rule(f"[{present}].filter(present, present).size() {comparison} 1", message=message)


def _names(fields: tuple[str, ...]) -> str:
    return ", ".join(fields)
