"""Semantic versions and constraints on them, as Masterminds/semver v3 reads both."""

from __future__ import annotations

import re

from bakehouse.lazy import regex

_VERSION = regex(
    r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?"
    r"(?:-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(?:\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?",
    re.ASCII,
)
_TERM = (
    r"v?([0-9|xX*]+)(\.[0-9|xX*]+)?(\.[0-9|xX*]+)?"
    r"(-(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(?:\+(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
)
_BARE_TERM = re.sub(r"\((?!\?)", "(?:", _TERM)
# Go prefers the first alternative that lets the whole match; the empty one comes second in this list.
_OPERATOR = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^"
_CONSTRAINT = regex(rf"\s*({_OPERATOR})\s*({_TERM})\s*", re.ASCII)
_FIND = regex(rf"(?:{_OPERATOR})\s*(?:{_BARE_TERM})", re.ASCII)
_VALID = regex(
    rf"(?:\s*(?:{_OPERATOR})\s*(?:{_BARE_TERM})\s*)(?:(?:\s+|,\s*)(?:{_OPERATOR})\s*(?:{_BARE_TERM})\s*)*",
    re.ASCII,
)
_RANGE = regex(rf"\s*({_BARE_TERM})\s+-\s+({_BARE_TERM})\s*", re.ASCII)


class SemverError(ValueError):
    """Not a version, or not a constraint."""


class Version:
    """Three numbers and a prerelease tag; build metadata plays no part."""

    __slots__ = ("numbers", "prerelease")

    def __init__(self, numbers: tuple[int, int, int], prerelease: str) -> None:
        self.numbers = numbers
        self.prerelease = prerelease

    @classmethod
    def parse(cls, text: str) -> Version:
        """A version, which may lack its last numbers. Raises SemverError."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise SemverError("invalid semantic version")
        parts = [int((found.group(index) or "0").lstrip(".")) for index in (1, 2, 3)]
        if any(part >= 2**64 for part in parts):
            raise SemverError("error parsing version segment: value out of range")
        prerelease = found.group(4) or ""
        for part in prerelease.split(".") if prerelease else ():
            if part.isdigit() and len(part) > 1 and part[0] == "0":
                raise SemverError("version segment starts with 0")
        return cls((parts[0], parts[1], parts[2]), prerelease)

    def compare(self, other: Version) -> int:
        """-1, 0 or 1."""
        if self.numbers != other.numbers:
            return -1 if self.numbers < other.numbers else 1
        return compare_prerelease(self.prerelease, other.prerelease)


def compare_prerelease(left: str, right: str) -> int:
    """Order of prerelease tags; none at all is the highest."""
    if left == right:
        return 0
    if not left or not right:
        return 1 if not left else -1
    mine, other = left.split("."), right.split(".")
    for index in range(max(len(mine), len(other))):
        order = _compare_part(
            mine[index] if index < len(mine) else "", other[index] if index < len(other) else ""
        )
        if order:
            return order
    return 0


def _compare_part(left: str, right: str) -> int:
    if left == right:
        return 0
    if not left or not right:
        return -1 if not left else 1
    if left.isdigit() and right.isdigit():
        return -1 if int(left) < int(right) else 1
    if left.isdigit() or right.isdigit():
        return -1 if left.isdigit() else 1
    return -1 if left < right else 1


class _Constraint:
    """One operator with a version; `missing` says how much of the version was left open: 0 nothing, 1 the
    patch, 2 minor and patch, 3 all."""

    __slots__ = ("missing", "operator", "version")

    def __init__(self, text: str) -> None:
        found = _CONSTRAINT.fullmatch(text)
        if found is None:
            raise SemverError(f"improper constraint: {text}")
        self.operator = found.group(1)
        major, minor, patch, tag = (found.group(index) or "" for index in (3, 4, 5, 6))
        self.missing = 0
        full = found.group(2)
        if _open(major):
            self.missing, full = 3, f"0.0.0{tag}"
        elif _open(minor.removeprefix(".")):
            self.missing, full = 2, f"{major}.0.0{tag}"
        elif _open(patch.removeprefix(".")):
            self.missing, full = 1, f"{major}{minor}.0{tag}"
        try:
            self.version = Version.parse(full)
        except SemverError:
            raise SemverError("constraint parser error") from None

    def check(self, version: Version, prereleases: bool) -> bool:
        if version.prerelease and not prereleases:
            return False
        if self.operator in ("", "="):
            return self._tilde(version) if self.missing else version.compare(self.version) == 0
        if self.operator in ("~", "~>"):
            return self._tilde(version)
        if self.operator == "^":
            return self._caret(version)
        if self.operator == "!=":
            return self._not_equal(version)
        return self._ordered(version)

    def _ordered(self, version: Version) -> bool:
        order = version.compare(self.version)
        mine, other = version.numbers, self.version.numbers
        if self.operator == "<":
            return order < 0
        if self.operator in (">=", "=>"):
            return order >= 0
        if self.operator == ">":
            if not self.missing or mine[0] != other[0]:
                return order > 0 if not self.missing else mine[0] > other[0]
            if self.missing == 1:
                return mine[1] > other[1]
            return False if self.missing == 2 else order > 0
        if not self.missing:
            return order <= 0
        return mine[0] <= other[0] and not (mine[0] == other[0] and mine[1] > other[1] and self.missing != 2)

    def _not_equal(self, version: Version) -> bool:
        if not self.missing:
            return version.compare(self.version) != 0
        mine, other = version.numbers, self.version.numbers
        if mine[0] != other[0]:
            return True
        if mine[1] != other[1] and self.missing != 2:
            return True
        if self.missing == 2:
            return False
        if self.missing == 1:
            return compare_prerelease(version.prerelease, self.version.prerelease) != 0
        return mine[2] != other[2] or version.compare(self.version) != 0

    def _tilde(self, version: Version) -> bool:
        if version.compare(self.version) < 0:
            return False
        mine, other = version.numbers, self.version.numbers
        if other == (0, 0, 0) and self.missing not in (1, 2):
            return True
        return mine[0] == other[0] and (mine[1] == other[1] or self.missing == 2)

    def _caret(self, version: Version) -> bool:
        if version.compare(self.version) < 0:
            return False
        mine, other = version.numbers, self.version.numbers
        if other[0] > 0 or self.missing == 2:
            return mine[0] == other[0]
        if mine[0] > 0:
            return False
        if other[1] > 0 or self.missing == 1:
            return mine[1] == other[1]
        return mine[1] == 0 and mine[2] == other[2]


def _open(part: str) -> bool:
    return part in ("", "x", "X", "*")


class Constraints:
    """Alternatives (`||`) of constraints that must all hold (blank or `,`)."""

    __slots__ = ("alternatives",)

    def __init__(self, text: str) -> None:
        """Raises SemverError."""
        self.alternatives: list[list[_Constraint]] = []
        text = _RANGE.sub(lambda found: f">= {found.group(1)}, <= {found.group(2)} ", text)
        for alternative in text.split("||"):
            if not _VALID.fullmatch(alternative):
                raise SemverError(f"improper constraint: {alternative}")
            self.alternatives.append([_Constraint(part) for part in _FIND.findall(alternative)])

    def check(self, version: Version) -> bool:
        """Whether the version satisfies one of the alternatives."""
        for constraints in self.alternatives:
            prereleases = any(constraint.version.prerelease for constraint in constraints)
            if all(constraint.check(version, prereleases) for constraint in constraints):
                return True
        return False
