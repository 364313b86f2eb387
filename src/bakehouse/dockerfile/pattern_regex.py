"""One ignore pattern as the steps of the regular expression that BuildKit makes of it.

BuildKit hands a half-escaped text to Go's regexp package, so what a backslash or a bracket means in an ignore
file is what it means there (dockerfile.md §11.2). Only the constructs that can arise are known here; matching
is `pattern_automaton`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from bakehouse.dockerfile.charset import (
    ANY_CHAR,
    CATEGORIES,
    NOT_NEWLINE,
    NOT_SLASH,
    PERL,
    POSIX,
    CharSet,
    Ranges,
    complement,
)
from bakehouse.dockerfile.globs import bad_pattern
from bakehouse.dockerfile.gotext import replace_invalid

_ESCAPED = frozenset(".+()|{}$")
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_BYTE_ORDER_MARK = "\ufeff"
_DIRECTORIES = "(.*/)?"
_POSIX_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")


class Kind(Enum):
    """What a step does: match one character or any number of them, skip whole directories (nothing, or any text
    without line feeds that ends in a slash), or require something of the place where it stands."""

    ONE = auto()
    MANY = auto()
    DIRECTORIES = auto()
    AT_BEGIN = auto()
    AT_END = auto()
    AT_WORD_BOUNDARY = auto()
    NOT_AT_WORD_BOUNDARY = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """`chars` counts for `ONE` and `MANY` only."""

    kind: Kind
    chars: CharSet = ANY_CHAR


_ASSERTIONS = {
    "A": Kind.AT_BEGIN,
    "z": Kind.AT_END,
    "b": Kind.AT_WORD_BOUNDARY,
    "B": Kind.NOT_AT_WORD_BOUNDARY,
}


def parse_pattern(pattern: str) -> tuple[Step, ...]:
    """The steps that a whole path must take for a cleaned pattern to match it.

    Raises `DockerfileError` where BuildKit's expression would not compile.
    """
    # BuildKit appends its end anchor to whatever it has: a backslash at the end makes it an ordinary dollar sign.
    return _Parser(_go_expression(pattern) + "$").run()


def _go_expression(pattern: str) -> str:
    """The expression as it is handed to Go, without its anchors."""
    # The scanner that BuildKit reads patterns with drops the mark, and bytes that are not UTF-8.
    pattern = replace_invalid(pattern.removeprefix(_BYTE_ORDER_MARK))
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 1
            if pattern.startswith("/", position):
                position += 1
            out.append(".*" if position == len(pattern) else _DIRECTORIES)
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char in _ESCAPED:
            out.append("\\" + char)
        elif char == "\\":
            out.append("\\" + pattern[position : position + 1])
            position += 1
        else:
            out.append(char)
    return "".join(out)


class _Parser:
    """Reads one expression; `_position` is where in `_text` reading goes on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._steps: list[Step] = []

    def run(self) -> tuple[Step, ...]:
        anchored = False
        while self._position < len(self._text):
            anchored = self._step()
        if not anchored:
            self._many(ANY_CHAR)
        return tuple(self._steps)

    def _step(self) -> bool:
        """Reads one construct and tells whether it was the end anchor."""
        text = self._text
        char = text[self._position]
        if text.startswith(_DIRECTORIES, self._position):
            self._position += len(_DIRECTORIES)
            self._steps.append(Step(Kind.DIRECTORIES))
        elif text.startswith(".*", self._position):
            self._position += 2
            self._many(NOT_NEWLINE)
        elif char == "[":
            self._position += 1
            self._class()
        elif char == "\\":
            self._position += 1
            self._escape()
        else:
            self._position += 1
            if char in "^$":
                # Of dollar signs only the anchor itself is left unescaped.
                self._steps.append(Step(Kind.AT_BEGIN if char == "^" else Kind.AT_END))
                return char == "$"
            self._one(CharSet.of(ord(char)))
        return False

    def _one(self, chars: CharSet) -> None:
        self._steps.append(Step(Kind.ONE, chars))

    def _many(self, chars: CharSet) -> None:
        self._steps.append(Step(Kind.MANY, chars))

    def _escape(self) -> None:
        """What follows a backslash outside brackets."""
        char = self._text[self._position : self._position + 1]
        if char in _ASSERTIONS:
            self._position += 1
            self._steps.append(Step(_ASSERTIONS[char]))
        elif char == "Q":
            self._position += 1
            literal, _, _ = self._text[self._position :].partition("\\E")
            self._position += len(literal) + len("\\E")
            for each in literal:
                self._one(CharSet.of(ord(each)))
        else:
            ranges, categories = self._named_set() or (None, frozenset())
            if ranges is None:
                point = self._code_point()
                ranges = ((point, point),)
            self._one(CharSet(ranges, categories))

    def _named_set(self) -> tuple[Ranges, frozenset[str]] | None:
        """`d`, `pL` and the like behind a backslash, in brackets or not."""
        name = self._text[self._position : self._position + 1]
        if name in PERL:
            self._position += 1
            return PERL[name], frozenset()
        if name not in ("p", "P"):
            return None
        # Longer names stand in braces, which BuildKit escapes, so that they cannot occur.
        category = self._text[self._position + 1 : self._position + 2].upper()
        if category not in CATEGORIES:
            raise bad_pattern()
        self._position += 2
        wanted = frozenset(category)
        return (), wanted if name == "p" else CATEGORIES - wanted

    def _code_point(self) -> int:
        """The character that an escape stands for. Raises for escapes that Go does not have."""
        char = self._text[self._position : self._position + 1]
        self._position += 1
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            digits = self._text[self._position : self._position + 2]
            if not re.fullmatch("[0-9A-Fa-f]{2}", digits):
                raise bad_pattern()
            self._position += 2
            return int(digits, 16)
        if char and char in "01234567":
            return self._octal(char)
        if not char or not char.isascii() or char.isalnum():
            raise bad_pattern()
        return ord(char)

    def _octal(self, first: str) -> int:
        digits = first
        while len(digits) < 3 and self._text[self._position : self._position + 1] in tuple("01234567"):
            digits += self._text[self._position]
            self._position += 1
        if first != "0" and len(digits) == 1:
            raise bad_pattern()  # a back reference
        return int(digits, 8)

    def _class(self) -> None:
        """A bracket expression after its opening bracket."""
        text = self._text
        negated = text.startswith("^", self._position)
        self._position += negated
        ranges: list[tuple[int, int]] = []
        categories: frozenset[str] = frozenset()
        first = True
        while first or not text.startswith("]", self._position):
            if self._position >= len(text):
                raise bad_pattern()
            found, named = self._class_item()
            ranges += found
            categories |= named
            first = False
        self._position += 1
        chars = CharSet(tuple(sorted(set(ranges))), categories, negated)
        # A star of the pattern becomes `[^/]*`; between brackets its own bracket ends the class.
        if text.startswith("*", self._position):
            self._position += 1
            self._many(chars)
        else:
            self._one(chars)

    def _class_item(self) -> tuple[Ranges, frozenset[str]]:
        """One character, a range, or a class such as `\\d` or `[:digit:]`."""
        text = self._text
        posix = self._posix_class()
        if posix is not None:
            return posix, frozenset()
        if text[self._position] == "\\":
            self._position += 1
            named = self._named_set()
            if named is not None:
                return named
            self._position -= 1
        low = high = self._class_char()
        follower = text[self._position + 1 : self._position + 2]
        if text.startswith("-", self._position) and follower not in ("]", ""):
            self._position += 1
            high = self._class_char()
        if high < low:
            raise bad_pattern()
        return ((low, high),), frozenset()

    def _posix_class(self) -> Ranges | None:
        match = _POSIX_CLASS.match(self._text, self._position)
        if match is None:
            if self._text.startswith("[:", self._position) and ":]" in self._text[self._position + 2 :]:
                raise bad_pattern()
            return None
        if match[2] not in POSIX:
            raise bad_pattern()
        self._position = match.end()
        ranges = POSIX[match[2]]
        return complement(ranges) if match[1] else ranges

    def _class_char(self) -> int:
        if self._position >= len(self._text):
            raise bad_pattern()
        char = self._text[self._position]
        self._position += 1
        return self._code_point() if char == "\\" else ord(char)
