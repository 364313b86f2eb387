"""Include and exclude patterns while a tree is walked, and the wildcards of copy sources.

Role: BuildKit's use of moby's pattern matcher: decide on a path given what its parent directory matched, and whether
a directory is worth entering. The pattern language itself lives in `dockerfile.patterns` (dockerfile.md §11).
"""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.dockerfile.patterns import MatchState, PatternMatcher
from bakehouse.go.globs import BadPatternError, has_wildcard, match_file_path
from bakehouse.go.paths import clean_path

#: Whether a directory matched, and what its children are matched with; None = nothing is known yet.
Match = tuple[bool, MatchState] | None

_MAGIC = frozenset("*[]?^\\")


class PathFilter:
    """Include and exclude patterns. Without include patterns everything is included."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = PatternMatcher(include) if include else None
        self._exclude = PatternMatcher(exclude) if exclude else None
        self._include_prefixes = _prefixes(self._include, negated=False)
        self._exclude_prefixes = _prefixes(self._exclude, negated=True)

    @property
    def is_trivial(self) -> bool:
        """Whether every path is included."""
        return self._include is None and self._exclude is None

    @property
    def literal_includes(self) -> tuple[str, ...] | None:
        """The include patterns as relative paths, when all of them are plain ones; None when everything or a wildcard
        is included, so that one has to look at every file."""
        if self._include is None:
            return None
        patterns = self._include.patterns
        if any(pattern.exclusion or not _MAGIC.isdisjoint(pattern.text) for pattern in patterns):
            return None
        return tuple(pattern.text for pattern in patterns)

    def decide(self, path: str, include: Match, exclude: Match) -> tuple[bool, Match, Match]:
        """(wanted, include match, exclude match) of relative `path`, given the matches of its directory."""
        wanted = True
        if self._include is not None:
            include = self._include.match_with_parent(path, None if include is None else include[1])
            wanted = include[0]
        if self._exclude is not None:
            exclude = self._exclude.match_with_parent(path, None if exclude is None else exclude[1])
            wanted = wanted and not exclude[0]
        return wanted, include, exclude

    def may_match_below(self, path: str, include: Match, exclude: Match) -> bool:
        """Whether anything below directory `path`, whose own matches are given, can be wanted at all."""
        slashed = path + "/" if path else ""
        excluded = exclude is not None and exclude[0]
        if excluded and not _some_below(slashed, self._exclude_prefixes):
            return False
        if include is not None and not include[0]:
            return _some_below(slashed, self._include_prefixes)
        return True


def _prefixes(matcher: PatternMatcher | None, *, negated: bool) -> tuple[str, ...] | None:
    """The patterns of one sign as plain path prefixes; None when one of them holds a wildcard elsewhere than at its
    end, so that it could match below any directory."""
    if matcher is None:
        return ()
    found = []
    for pattern in matcher.patterns:
        if pattern.exclusion is not negated:
            continue
        text = pattern.text.removesuffix("/**").removesuffix("/*")
        if not _MAGIC.isdisjoint(text):
            return None
        found.append(text + "/")
    return tuple(found)


def _some_below(slashed: str, prefixes: tuple[str, ...] | None) -> bool:
    return prefixes is None or any(prefix.startswith(slashed) for prefix in prefixes)


def split_wildcards(path: str) -> tuple[str, str]:
    """(literal directory prefix, rest beginning with the first component that holds a wildcard)."""
    parts = clean_path(path).split("/")
    for position, part in enumerate(parts):
        if has_wildcard(part):
            literal = "/".join(parts[:position])
            return (literal or ("/" if path.startswith("/") else ""), "/".join(parts[position:]))
    return clean_path(path), ""


def go_match(pattern: str, name: str) -> bool:
    """Go's `filepath.Match` of one level; a malformed pattern matches nothing."""
    try:
        return match_file_path(pattern, name)
    except BadPatternError:
        return False
