"""Install modes and OperatorGroups: what an operator may watch where. Pure functions, by OLM's own rules.

Source: operator-framework/api `pkg/operators/v1alpha1/clusterserviceversion.go`, InstallModeSet.Supports.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kopf_sdk.errors import SdkError

__all__ = ["InstallMode", "choose_mode", "group_mode", "supported_modes", "the_group"]

_KINDS = ("AllNamespaces", "OwnNamespace", "SingleNamespace", "MultiNamespace")
_FORMAT = "AllNamespaces, OwnNamespace, SingleNamespace=NAMESPACE or MultiNamespace=ONE,TWO"


@dataclass(frozen=True)
class InstallMode:
    """One of OLM's four modes; `namespaces` are those to watch, where the mode leaves them open."""

    kind: str
    namespaces: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> InstallMode:
        """Return the mode that `text` names, in the notation of operator-sdk.

        Raises
        ------
        SdkError
            It is none, or its namespaces are missing or too many.
        """
        kind, equals, names = text.partition("=")
        namespaces = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
        if kind not in _KINDS:
            raise SdkError(f"there is no install mode {kind!r}", hint=f"give {_FORMAT}")
        if kind in {"AllNamespaces", "OwnNamespace"} and equals:
            raise SdkError(f"{text}: {kind} takes no namespaces", hint=f"give {_FORMAT}")
        if kind == "SingleNamespace" and len(namespaces) != 1:
            raise SdkError(f"{text}: SingleNamespace takes one namespace", hint=f"give {_FORMAT}")
        if kind == "MultiNamespace" and not namespaces:
            raise SdkError(f"{text}: MultiNamespace takes namespaces", hint=f"give {_FORMAT}")
        return cls(kind, namespaces)

    def targets(self, namespace: str) -> list[str]:
        """Return `spec.targetNamespaces` of an OperatorGroup in `namespace`; empty for all of them."""
        return [namespace] if self.kind == "OwnNamespace" else list(self.namespaces)

    def __str__(self) -> str:
        return f"{self.kind}={','.join(self.namespaces)}" if self.namespaces else self.kind


def supported_modes(spec: Mapping[str, Any]) -> list[str]:
    """Return the modes that a CSV's spec supports, the widest first."""
    supported = {str(mode.get("type")) for mode in spec.get("installModes") or () if mode.get("supported")}
    return [kind for kind in _KINDS if kind in supported]


def choose_mode(name: str, supported: Sequence[str], wish: InstallMode | None, namespace: str) -> InstallMode:
    """Return the mode to install an operator in: the wish, else AllNamespaces, else OwnNamespace.

    Raises
    ------
    SdkError
        The operator does not support it, or supports only modes that need a choice.
    """
    if wish is None:
        chosen = next((kind for kind in ("AllNamespaces", "OwnNamespace") if kind in supported), "")
        if not chosen:
            raise SdkError(
                f"{name} supports only {' and '.join(supported) or 'no install mode'}, which needs namespaces to watch",
                hint="say --install-mode SingleNamespace=NAMESPACE or MultiNamespace=ONE,TWO",
            )
        return InstallMode(chosen)
    if wish.kind == "SingleNamespace" and wish.namespaces == (namespace,):
        raise SdkError(
            f"SingleNamespace={namespace}: that is the namespace of the operator itself",
            hint="say --install-mode OwnNamespace",
        )
    _check_supported(name, supported, wish, namespace, f"install mode {wish}")
    return wish


def _check_supported(name: str, supported: Collection[str], mode: InstallMode, namespace: str, what: str) -> None:
    known = ", ".join(supported) or "none"
    if mode.kind not in supported:
        raise SdkError(f"{name} does not support {what}", hint=f"its CSV supports {known} (spec.installModes)")
    if mode.kind == "MultiNamespace" and namespace in mode.namespaces and "OwnNamespace" not in supported:
        raise SdkError(
            f"{name} does not support OwnNamespace, and {what} includes its own namespace {namespace}",
            hint=f"its CSV supports {known} (spec.installModes)",
        )


def the_group(groups: Sequence[Mapping[str, Any]], namespace: str) -> Mapping[str, Any] | None:
    """Return the one OperatorGroup of a namespace, None when there is none.

    Raises
    ------
    SdkError
        There are several: OLM then installs nothing in the namespace.
    """
    if len(groups) > 1:
        names = sorted(group["metadata"]["name"] for group in groups)
        raise SdkError(
            f"namespace {namespace} has {len(groups)} OperatorGroups ({', '.join(names)}): OLM installs nothing there",
            hint=f"keep one of them: kubectl --namespace {namespace} delete operatorgroup {names[-1]}",
        )
    return groups[0] if groups else None


def group_mode(name: str, supported: Sequence[str], wish: InstallMode | None, group: Mapping[str, Any]) -> InstallMode:
    """Return the mode in which an existing OperatorGroup makes OLM install an operator.

    Raises
    ------
    SdkError
        It is not the wish, or the operator does not support it.
    """
    metadata, spec = group["metadata"], group.get("spec") or {}
    namespace = str(metadata["namespace"])
    selected = (group.get("status") or {}).get("namespaces") if spec.get("selector") else spec.get("targetNamespaces")
    targets = [target for target in selected or () if target]
    if not targets:
        found = InstallMode("AllNamespaces")
    elif targets == [namespace]:
        found = InstallMode("OwnNamespace")
    else:
        found = InstallMode("SingleNamespace" if len(targets) == 1 else "MultiNamespace", tuple(sorted(targets)))
    if wish is not None and set(wish.targets(namespace)) != set(targets):
        raise SdkError(
            f"OperatorGroup {metadata['name']} of namespace {namespace} selects "
            f"{', '.join(sorted(targets)) or 'all namespaces'}, not what install mode {wish} needs",
            hint=f"install into another --namespace, or change it: kubectl --namespace {namespace} edit operatorgroup "
            f"{metadata['name']}",
        )
    what = f"install mode {found}, which OperatorGroup {metadata['name']} of namespace {namespace} asks for"
    _check_supported(name, supported, found, namespace, what)
    return found
