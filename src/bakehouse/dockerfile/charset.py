"""Sets of characters as Go's regular expressions have them: ranges of code points and Unicode categories.

Role: what one step of an ignore pattern matches. Knows no syntax: see `pattern_regex`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from bakehouse.values import dataclass

Ranges = tuple[tuple[int, int], ...]

MAX_POINT = 0x10FFFF
#: Unicode's general categories.
CATEGORIES = frozenset(
    f"{first}{second}"
    for first, seconds in {
        "C": "cfnos",
        "L": "lmotu",
        "M": "cen",
        "N": "dlo",
        "P": "cdefios",
        "S": "ckmo",
        "Z": "lps",
    }.items()
    for second in seconds
)


def spans(text: str) -> Ranges:
    """Ranges written as pairs of characters: `"azAZ"` is a to z and A to Z."""
    return tuple((ord(low), ord(high)) for low, high in zip(text[::2], text[1::2], strict=True))


def complement(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """All code points that are in none of `ranges`."""
    out: list[tuple[int, int]] = []
    free = 0
    for low, high in sorted(ranges):
        if low > free:
            out.append((free, low - 1))
        free = max(free, high + 1)
    if free <= MAX_POINT:
        out.append((free, MAX_POINT))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class CharSet:
    """The characters in any of `ranges` or `categories`, or, when `negated`, all others. A byte that is not UTF-8
    (a lone surrogate) counts as U+FFFD, as it does for Go."""

    ranges: Ranges = ()
    categories: frozenset[str] = frozenset()
    negated: bool = False

    def __contains__(self, char: str) -> bool:
        point = ord(char)
        if 0xD800 <= point <= 0xDFFF:
            point, char = 0xFFFD, "\ufffd"
        inside = any(low <= point <= high for low, high in self.ranges)
        if not inside and self.categories:
            inside = unicodedata.category(char) in self.categories
        return inside != self.negated

    @classmethod
    def of(cls, point: int) -> CharSet:
        return cls(((point, point),))

    @property
    def only(self) -> str | None:
        """The one character that the set is written with, if it is written so."""
        if self.negated or self.categories or len(self.ranges) != 1:
            return None
        ((low, high),) = self.ranges
        return chr(low) if low == high else None


ANY_CHAR = CharSet(negated=True)
NOT_NEWLINE = CharSet(spans("\n\n"), negated=True)


def unicode_categories(name: str) -> frozenset[str] | None:
    """The categories that `\\p{name}` stands for, or None. Scripts (`Greek`) and long names (`Letter`) are not known
    here. As for Go, case does not matter, nor do blanks, hyphens and underscores."""
    name = re.sub("[ _-]", "", name).capitalize() if name.isascii() else ""
    if name == "Any":
        return CATEGORIES
    if name == "Assigned":
        return CATEGORIES - {"Cn"}
    if name == "Lc":
        return frozenset({"Ll", "Lt", "Lu"})
    found = frozenset(each for each in CATEGORIES if name and name in (each, each[0]))
    return found or None


DIGIT = spans("09")
WORD = spans("09AZaz__")
SPACE = spans("\t\n\f\r  ")

#: `\d` and its relatives.
PERL: dict[str, Ranges] = {
    "d": DIGIT,
    "w": WORD,
    "s": SPACE,
    "D": complement(DIGIT),
    "W": complement(WORD),
    "S": complement(SPACE),
}

#: `[:alnum:]` and its relatives.
POSIX: dict[str, Ranges] = {
    "alnum": spans("09AZaz"),
    "alpha": spans("AZaz"),
    "ascii": spans("\x00\x7f"),
    "blank": spans("\t\t  "),
    "cntrl": spans("\x00\x1f\x7f\x7f"),
    "digit": DIGIT,
    "graph": spans("!~"),
    "lower": spans("az"),
    "print": spans(" ~"),
    "punct": spans("!/:@[`{~"),
    "space": spans("\t\r  "),
    "upper": spans("AZ"),
    "word": WORD,
    "xdigit": spans("09AFaf"),
}
