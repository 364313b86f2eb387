"""The pattern language of `.dockerignore`, `--exclude` and context transfers (dockerfile.md §11.2).

A matcher asks for every path the same question: which patterns match this very path? The answer is a bit set,
made from dictionaries and one automaton, so that hundreds of patterns cost little more than one and no pattern
can make matching slower than linear in the path's length.
Both APIs derive from it: with the bits of a path and of all its parents, the highest set bit decides, since
each later pattern overrides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bakehouse.dockerfile.pattern_automaton import Automaton
from bakehouse.dockerfile.pattern_regex import Step, parse_pattern
from bakehouse.dockerfile.positions import DockerfileError, bad_pattern
from bakehouse.go.globs import BadPatternError, match_file_path
from bakehouse.go.paths import clean_path
from bakehouse.go.text import REPLACEMENT, SPACES, replace_invalid
from bakehouse.values import dataclass

_MAGIC = frozenset("*?[]\\")
#: Directories that a matcher remembers before it forgets all of them.
_MAX_DIRECTORIES = 4096
_MAX_REMEMBERED_LENGTH = 1024
#: What, besides, means something else than itself in an expression, or ends a segment.
_SPECIAL = frozenset("/^{|")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, cleaned and without its `!`. `exclusion` tells that it had one: it takes paths out of the
    match."""

    text: str
    exclusion: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class MatchState:
    """Which patterns a directory or one of its parents matches, as a bit set: what its children are matched
    with."""

    bits: int = 0


class PatternMatcher:
    """Matches relative slash-separated paths against an ordered list of patterns. Thread-safe.

    Raises `DockerfileError` when a pattern cannot be read.
    """

    __slots__ = ("_directories", "_exclusion_bits", "_index", "exclusions", "patterns")

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(_parse_all(patterns))
        #: Whether any pattern begins with `!`: then an ignored directory may hold files that are not.
        self.exclusions = any(pattern.exclusion for pattern in self.patterns)
        self._exclusion_bits = sum(1 << i for i, pattern in enumerate(self.patterns) if pattern.exclusion)
        self._index = _Index([pattern.text for pattern in self.patterns])
        self._directories: dict[str, int] = {}

    def matches_or_parent_matches(self, path: str) -> bool:
        """Whether `path` is matched, by itself or through one of its parents, and not taken out again."""
        return self._decide(self._cumulative(path))

    def match_with_parent(self, path: str, parent: MatchState | None) -> tuple[bool, MatchState]:
        """Whether `path` is matched, for a walk that goes down directory by directory, and the state for its
        children.

        `parent` is the state of the directory that holds `path`; None when it is not known (then parents are
        matched here) and for the first level. Not always the same answer as `matches_or_parent_matches`: a
        pattern that could change nothing for the parent counts as not matched there, as in BuildKit's own
        walk.
        """
        inherited = parent.bits if parent is not None else 0
        own = self._cumulative(path) if parent is None else self._index.bits(path)
        candidates = (own | inherited) if own else inherited
        if not own & ~inherited:
            return self._decide(inherited), MatchState(inherited)
        matched, state = False, 0
        while candidates:
            bit = candidates & -candidates
            candidates ^= bit
            exclusion = bool(bit & self._exclusion_bits)
            if bit & inherited or exclusion == matched:
                state |= bit
                matched = not exclusion
        return matched, MatchState(state)

    def _cumulative(self, path: str) -> int:
        """The patterns that match `path` or one of its parents."""
        slash = path.rfind("/")
        if slash <= 0:
            return self._index.bits(path) | (self._root_bits() if slash == 0 else 0)
        bits = self._directories.get(path[:slash])
        if bits is None:
            bits = self._directory_bits(path[:slash])
        return bits | self._index.bits(path)

    def _directory_bits(self, directory: str) -> int:
        """As `_cumulative` for a directory; it and its parents are remembered, since neighbours follow."""
        pending = [directory]
        while (slash := pending[-1].rfind("/")) > 0 and pending[-1][:slash] not in self._directories:
            pending.append(pending[-1][:slash])
        bits = self._root_bits() if slash == 0 else self._directories.get(pending[-1][: max(slash, 0)], 0)
        if len(self._directories) + len(pending) > _MAX_DIRECTORIES:
            self._directories = {}
        for each in reversed(pending):
            bits |= self._index.bits(each)
            if len(each) <= _MAX_REMEMBERED_LENGTH:
                self._directories[each] = bits
        return bits

    def _root_bits(self) -> int:
        """The parents of an absolute path's first level: Go splits them into the empty path and `/`."""
        return self._index.bits("") | self._index.bits("/")

    def _decide(self, bits: int) -> bool:
        return bits != 0 and not self._exclusion_bits >> (bits.bit_length() - 1) & 1


def check_patterns(patterns: Iterable[str]) -> None:
    """Raises `DockerfileError` (code `bad-pattern`) for the first pattern that is none. What is wrong with it as an
    expression only a matcher finds out."""
    for _ in _parse_all(patterns):
        pass


def _parse_all(patterns: Iterable[str]) -> Iterable[Pattern]:
    for text in patterns:
        text = text.strip(SPACES)
        if not text:
            continue
        text = clean_path(text)
        exclusion = text.startswith("!")
        if exclusion:
            text = text[1:]
            if not text:
                raise DockerfileError('illegal exclusion pattern: "!"', code="bad-pattern")
        try:
            match_file_path(text, ".")
        except BadPatternError:
            raise bad_pattern() from None
        yield Pattern(text, exclusion)


class _Index:
    """Finds which of an ordered list of patterns match one path, each by the cheapest means that its form
    allows."""

    __slots__ = (
        "_always",
        "_automaton",
        "_ends",
        "_exact",
        "_name_ends",
        "_names",
        "_root_ends",
        "_starts",
    )

    def __init__(self, texts: list[str]) -> None:
        self._always = 0  # `**`
        self._exact: dict[str, int] = {}  # no wildcard
        self._names: dict[str, int] = {}  # `**/name`
        self._starts = _Affixes(str.startswith)  # `dir/**`
        self._ends = _Affixes(str.endswith)  # `**tail`, `**/dir/name`
        self._name_ends = _Affixes(str.endswith)  # `**/*.tail`
        self._root_ends = _Affixes(str.endswith)  # `*.tail`
        others: list[tuple[Sequence[Step], int]] = []
        for number, text in enumerate(texts):
            if not self._place(text, 1 << number):
                others += [(steps, 1 << number) for steps in parse_pattern(text)]
        self._automaton = Automaton(others) if others else None

    def _place(self, text: str, bit: int) -> bool:
        """Puts a pattern where it is found without the automaton; False when it needs that."""
        magic = _MAGIC.intersection(text)
        if not magic:
            _add(self._exact, text, bit)
        elif magic != {"*"}:
            return False
        elif self._place_double_star(text, bit):
            return True
        elif text.startswith("**/*") and _is_tail(text[4:]):
            self._name_ends.add(text[4:], bit)
        elif text.startswith("*") and _is_tail(text[1:]):
            self._root_ends.add(text[1:], bit)
        else:
            return False
        return True

    def _place_double_star(self, text: str, bit: int) -> bool:
        if text == "**":
            self._always |= bit
        elif text.startswith("**") and _is_plain(text[2:]):
            self._add_tail(text[2:], bit)
        elif text.endswith("**") and _is_plain(text[:-2]):
            self._starts.add(text[:-2], bit)
        else:
            return False
        return True

    def _add_tail(self, tail: str, bit: int) -> None:
        """What follows a leading `**`: text that a path ends with, or whole segments when it begins with a
        slash."""
        if tail.startswith("/") and "/" not in tail[1:]:
            _add(self._names, tail[1:], bit)
            return
        self._ends.add(tail, bit)
        if tail.startswith("/"):
            _add(self._exact, tail[1:], bit)

    def bits(self, path: str) -> int:
        slash = path.rfind("/")
        name = path[slash + 1 :]
        bits = self._always | self._exact.get(path, 0) | self._names.get(name, 0)
        if path.startswith(self._starts.texts):
            bits |= self._starts.bits(path)
        if path.endswith(self._ends.texts):
            bits |= self._ends.bits(path)
        if name.endswith(self._name_ends.texts) and "\n" not in path[: slash + 1]:
            bits |= self._name_ends.bits(name)
        if slash < 0 and path.endswith(self._root_ends.texts):
            bits |= self._root_ends.bits(path)
        if self._automaton is not None:
            bits |= self._automaton.bits(path)
        return bits


class _Affixes:
    """Texts that paths may begin or end with. `texts` serves a single fast test for any of them."""

    __slots__ = ("_entries", "_test", "texts")

    def __init__(self, test: Callable[[str, str], bool]) -> None:
        self._test = test
        self._entries: list[tuple[str, int]] = []
        self.texts: tuple[str, ...] = ()

    def add(self, text: str, bit: int) -> None:
        self._entries.append((text, bit))
        self.texts = (*self.texts, text)

    def bits(self, subject: str) -> int:
        test = self._test
        bits = 0
        for text, bit in self._entries:
            if test(subject, text):
                bits |= bit
        return bits


def _add(table: dict[str, int], key: str, bit: int) -> None:
    table[key] = table.get(key, 0) | bit


def _is_plain(text: str) -> bool:
    return not _MAGIC.intersection(text)


def _is_tail(text: str) -> bool:
    """Text of one path segment that means itself in an expression too. There, bytes that are not UTF-8 all read as
    U+FFFD."""
    return _is_plain(text) and _SPECIAL.isdisjoint(text) and REPLACEMENT not in replace_invalid(text)
