"""Typed custom resources: what a schema is generated from and what a reconcile function receives. No Kopf in here."""

from kopf_sdk.api.definition import Definition, PrinterColumn, Scale
from kopf_sdk.api.duration import Duration
from kopf_sdk.api.markers import (
    Atomic,
    EmbeddedResource,
    Example,
    Format,
    ListMap,
    ListSet,
    Nullable,
    PreserveUnknownFields,
)
from kopf_sdk.api.quantity import Quantity
from kopf_sdk.api.resource import Condition, CustomResource, Model, ObjectMeta, OwnerReference
from kopf_sdk.api.rules import Rule, at_least_one_of, at_most_one_of, exactly_one_of, immutable

IntOrString = int | str
"""A number or text, like the port of a Service or `maxUnavailable: 25%` (x-kubernetes-int-or-string)."""

__all__ = [
    "Atomic",
    "Condition",
    "CustomResource",
    "Definition",
    "Duration",
    "EmbeddedResource",
    "Example",
    "Format",
    "IntOrString",
    "ListMap",
    "ListSet",
    "Model",
    "Nullable",
    "ObjectMeta",
    "OwnerReference",
    "PreserveUnknownFields",
    "PrinterColumn",
    "Quantity",
    "Rule",
    "Scale",
    "at_least_one_of",
    "at_most_one_of",
    "exactly_one_of",
    "immutable",
]
