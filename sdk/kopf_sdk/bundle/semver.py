"""Semantic versions 2.0.0 and the ranges of OLM's skipRange (the syntax of github.com/blang/semver)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

__all__ = ["Version", "in_range", "minimum_of_constraint", "parse_range"]

_NUMBER = r"(?:0|[1-9]\d*)"
_PRE = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"^(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<pre>{_PRE}(?:\.{_PRE})*))?(?:\+(?P<build>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$"
)
_TERM = re.compile(r"^(?P<op>==?|!=?|>=?|<=?|)v?(?P<version>\d+(?:\.(?:\d+|x))*(?:\.x)?(?:[-+].*)?)$")


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version; ordered by precedence, build metadata left aside."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version:
        """Return the version in `text` (no leading `v`); raises ValueError."""
        match = _VERSION.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no semantic version (MAJOR.MINOR.PATCH)")
        pre, build = match["pre"], match["build"]
        return cls(
            int(match["major"]),
            int(match["minor"]),
            int(match["patch"]),
            tuple(pre.split(".")) if pre else (),
            tuple(build.split(".")) if build else (),
        )

    @classmethod
    def tolerant(cls, text: str) -> Version:
        """Like `parse`, and takes a leading `v` and missing minor or patch numbers."""
        text = text.strip().removeprefix("v")
        core, mark, rest = re.match(r"^([0-9.]*)([-+]?)(.*)$", text, re.DOTALL).groups()  # type: ignore[union-attr]
        numbers = [part.lstrip("0") or "0" for part in core.split(".")] if core else []
        return cls.parse(".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + mark + rest)

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        text += f"-{'.'.join(self.pre)}" if self.pre else ""
        return text + (f"+{'.'.join(self.build)}" if self.build else "")

    def _key(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        pre = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, pre)

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()


def parse_range(text: str) -> list[list[tuple[str, Version]]]:
    """Return a range as alternatives (`||`) of conditions that hold together; raises ValueError.

    Knows `>=1.0.0 <2.0.0`, `1.2.x`, `!1.3.0`, `=1.0.0`.
    """
    alternatives = []
    for part in text.split("||"):
        glued = re.sub(r"([<>=!])\s+", r"\1", part.strip())
        if not glued:
            raise ValueError(f"{text!r}: empty condition")
        conditions: list[tuple[str, Version]] = []
        for term in re.split(r"[\s,]+", glued):
            conditions.extend(_term(term, text))
        alternatives.append(conditions)
    return alternatives


def _term(term: str, text: str) -> list[tuple[str, Version]]:
    match = _TERM.match(term)
    if match is None:
        raise ValueError(f"{text!r}: {term!r} is no condition on a version")
    operator, version = match["op"] or "=", match["version"]
    operator = {"==": "=", "!": "!="}.get(operator, operator)
    if "x" not in version.split("-")[0]:
        return [(operator, Version.parse(version))]
    numbers = [int(number) for number in version.split(".") if number != "x"]
    major, minor, patch = [*numbers, 0, 0][:3]
    low = Version(major, minor, patch)
    high = Version(numbers[0] + 1, 0, 0) if len(numbers) == 1 else Version(numbers[0], numbers[1] + 1, 0)
    return {
        "=": [(">=", low), ("<", high)],
        ">=": [(">=", low)],
        ">": [(">=", high)],
        "<": [("<", low)],
        "<=": [("<", high)],
    }.get(operator, [("!=", low)])


def in_range(version: Version, text: str) -> bool:
    """Say whether a version lies in the range; raises ValueError for a malformed range."""
    tests = {
        "=": lambda v, w: v == w,
        "!=": lambda v, w: v != w,
        ">": lambda v, w: v > w,
        ">=": lambda v, w: v >= w,
        "<": lambda v, w: v < w,
        "<=": lambda v, w: v <= w,
    }
    return any(all(tests[op](version, bound) for op, bound in conditions) for conditions in parse_range(text))


def minimum_of_constraint(text: str) -> str:
    """Return the lowest version a Helm constraint (`kubeVersion`) admits, as MAJOR.MINOR.PATCH, "" when it has none.

    Knows Masterminds/semver's operators: `>=`, `>`, `^`, `~`, `=`, ranges `a - b`, wildcards, `||`, commas.
    """
    lows = []
    for part in text.split("||"):
        low: Version | None = None
        hyphen = re.match(r"^\s*v?([\d.]+\S*)\s+-\s+", part)
        terms = [f">={hyphen[1]}"] if hyphen else re.split(r"[\s,]+", re.sub(r"([<>=~^!])\s+", r"\1", part.strip()))
        for term in terms:
            match = re.match(r"^(>=|=>|>|\^|~>?|==?|)v?(\d+)(?:\.(\d+|x|\*))?(?:\.(\d+|x|\*))?(?:[-+].*)?$", term)
            if match is None:
                continue
            major, minor, patch = (int(n) if n and n.isdigit() else 0 for n in match.groups()[1:])
            bound = Version(major, minor, patch)
            if match[1] == ">":
                bound = Version(major, minor, patch + 1) if match[4] else Version(major, minor + 1, 0)
            low = bound if low is None or bound > low else low
        if low is None:
            return ""
        lows.append(low)
    return str(min(lows))
