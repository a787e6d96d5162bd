"""CRDs of two bundle versions compared: what an upgrade must not do to resources that exist.

After operator-controller `docs/concepts/crd-upgrade-safety.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kopf_sdk.bundle.bundle_dir import Bundle
from kopf_sdk.bundle.crds import read_crd
from kopf_sdk.bundle.fate import Level
from kopf_sdk.bundle.findings import Finding

__all__ = ["unsafe_changes", "unsafe_upgrades"]

_LOW = ("minimum", "minLength", "minItems", "minProperties")
_HIGH = ("maximum", "maxLength", "maxItems", "maxProperties")


def unsafe_upgrades(old: Bundle, new: Bundle) -> list[Finding]:
    """Return what makes the upgrade from one bundle to another unsafe for existing resources."""
    findings: list[Finding] = []
    after = {crd.name: crd for crd in new.crds}
    for before in old.crds:
        crd = after.get(before.name)
        where = f"{old.name} → {new.name}: {before.name}"
        problems = (
            unsafe_changes(before.data, crd.data)
            if crd
            else [("", "the CRD is gone; its resources remain without an operator")]
        )
        for path, problem in problems:
            hint = "Keep it for a version, or convert resources first."
            findings.append(
                Finding(
                    Level.ERROR, "crd-upgrade", f"{where}{': ' + path if path else ''}", problem, hint, suite="catalog"
                )
            )
    return findings


def unsafe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (path, problem) for every change of a CRD that may break its resources or their users."""
    before, after = read_crd(old), read_crd(new)
    problems: list[tuple[str, str]] = []
    if before.namespaced != after.namespaced:
        problems.append(("spec.scope", "changed"))
    stored = {str(name) for name in (old.get("status") or {}).get("storedVersions") or ()}
    stored |= {version.name for version in before.versions if version.storage}
    for version in before.versions:
        other = after.version(version.name)
        where = f"version {version.name}"
        if other is None:
            what = "stored resources may be of it" if version.name in stored else "clients may use it"
            problems.append((where, f"is removed; {what}"))
        elif version.served and not other.served:
            problems.append((where, "is no longer served"))
        else:
            problems.extend(_schema(version.schema, other.schema, version.name))
    return problems


def _schema(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if old.get("type") != new.get("type") and old.get("type"):
        yield path, f"type changed from {old.get('type')} to {new.get('type')}"
        return
    yield from _values(old, new, path)
    before, after = old.get("properties") or {}, new.get("properties") or {}
    for name, schema in before.items():
        where = f"{path}.{name}"
        if name in after:
            yield from _schema(schema or {}, after[name] or {}, where)
        elif not new.get("x-kubernetes-preserve-unknown-fields"):
            yield where, "the field is removed; the API server prunes it"
    for name in sorted(set(new.get("required") or ()) - set(old.get("required") or ())):
        if "default" not in (after.get(name) or {}):
            yield f"{path}.{name}", "became required"
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), Mapping) and isinstance(new.get(key), Mapping):
            yield from _schema(old[key], new[key], f"{path}[]" if key == "items" else f"{path}.*")


def _values(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if new.get("enum") is not None:
        if old.get("enum") is None:
            yield path, f"only {new['enum']} is allowed now"
        gone = [value for value in old.get("enum") or () if value not in new["enum"]]
        if gone:
            yield path, f"{gone} is no longer allowed"
    for key in _LOW:
        if new.get(key) is not None and (old.get(key) is None or new[key] > old[key]):
            yield path, f"{key} became stricter: {old.get(key)} → {new[key]}"
    for key in _HIGH:
        if new.get(key) is not None and (old.get(key) is None or new[key] < old[key]):
            yield path, f"{key} became stricter: {old.get(key)} → {new[key]}"
    if new.get("pattern") is not None and new.get("pattern") != old.get("pattern"):
        yield path, f"pattern changed to {new['pattern']}"
    if old.get("nullable") and not new.get("nullable"):
        yield path, "null is no longer allowed"
    if "default" in old and old.get("default") != new.get("default"):
        yield path, f"default changed from {old['default']!r} to {new.get('default')!r}"
