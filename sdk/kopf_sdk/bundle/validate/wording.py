"""Findings worded for people, with the upstream message beside them, so that a test can compare the two tools."""

from __future__ import annotations

from functools import partial

from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding

__all__ = ["bundle_error", "csv_error", "failed", "field_missing", "reporter"]


def reporter(suite: str) -> partial[Finding]:
    """Return what makes the findings of a suite: level, rule, where, message, then hint and upstream message."""
    return partial(Finding, suite=suite)


def csv_error(level: Level, name: str, detail: str) -> str:
    """Word a message as operator-framework/api `errors.ErrInvalidCSV` does."""
    return f"{level.value.capitalize()}: Value : ({name}) {detail}"


def failed(level: Level, value: str, detail: str) -> str:
    """Word a message as `errors.ErrFailedValidation` and its kin do: a value, then the detail."""
    return f"{level.value.capitalize()}: Value {value}: {detail}"


bundle_error = failed


def field_missing(field: str, kind: str) -> str:
    """Word a message as `errors.ErrFieldMissing` does."""
    return f"Error: Field {field}, Value {kind}: required field missing"
