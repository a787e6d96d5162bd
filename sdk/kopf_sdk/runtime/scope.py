"""Which namespaces the operator looks after."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kopf_sdk.errors import SdkError

__all__ = ["Scope"]

OWN = "own"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Scope:
    """All namespaces, or some. With some, no request for objects is cluster-wide."""

    namespaces: tuple[str, ...] = ()
    """Sorted; empty means all."""

    @classmethod
    def parse(cls, text: str, own: str) -> Scope:
        """Read the setting.

        Parameters
        ----------
        text
            Empty for all namespaces (as OLM and operator-sdk have it), or names separated by commas, of which the word
            `own` stands for the operator's namespace.
        own
            The operator's namespace.

        Raises
        ------
        SdkError
            If a name cannot be a namespace's.
        """
        names = {own if name == OWN else name for name in (part.strip() for part in text.split(",")) if name}
        if text.strip() and not names:
            raise SdkError(f"watch-namespaces: {text!r} names no namespace", hint="Leave it empty to watch all.")
        for name in names:
            if not LABEL.fullmatch(name):
                raise SdkError(
                    f"watch-namespaces: {name!r} is not a namespace's name",
                    hint="Give names separated by commas, `own`, or nothing for all namespaces.",
                )
        return cls(tuple(sorted(names)))

    @property
    def everything(self) -> bool:
        """Whether all namespaces are watched."""
        return not self.namespaces

    @property
    def parts(self) -> tuple[str | None, ...]:
        """Return what one watch each covers: the namespaces, or None for the whole cluster."""
        return self.namespaces or (None,)

    def __contains__(self, namespace: object) -> bool:
        return self.everything or namespace in self.namespaces

    def __str__(self) -> str:
        return ", ".join(self.namespaces) or "all namespaces"
