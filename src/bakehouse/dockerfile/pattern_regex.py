"""One ignore pattern as the steps of the regular expression that BuildKit makes of it.

BuildKit hands a half-escaped text to Go's regexp package, so what a backslash or a bracket means in an ignore
file is what it means there (dockerfile.md §11.2). Only the constructs that can arise are known here; matching
is `pattern_automaton`'s.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from bakehouse.dockerfile.charset import (
    ANY_CHAR,
    CATEGORIES,
    MAX_POINT,
    NOT_NEWLINE,
    PERL,
    POSIX,
    CharSet,
    Ranges,
    complement,
    spans,
    unicode_categories,
)
from bakehouse.dockerfile.positions import DockerfileError, bad_pattern
from bakehouse.go.text import replace_invalid
from bakehouse.lazy import regex
from bakehouse.values import dataclass

#: BuildKit means to escape braces and the bar too, but its table has no room for them: they keep their meaning.
_ESCAPED = frozenset(".+()$")
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_BYTE_ORDER_MARK = "\ufeff"
_DIRECTORIES = "(.*/)?"
_REPEAT = regex(r"\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}", re.ASCII)
_MAX_REPEAT = 1000
#: About where Go refuses an expression for its size.
_MAX_STEPS = 3_000_000
_UNICODE_CLASS = regex(r"(?s:\{(\^?)([^}]*)\}|([^^{]))")
_HEXADECIMAL = regex(r"([0-9A-Fa-f]{2})|\{0*([0-9A-Fa-f]{1,8})\}")
_POSIX_CLASS = regex(r"\[:(\^?)([a-z]+):\]")


class Kind(Enum):
    """What a step does: match one character, at most one or any number of them, skip whole directories (nothing, or
    any text without line feeds that ends in a slash), or require something of the place where it stands."""

    ONE = auto()
    OPTIONAL = auto()
    MANY = auto()
    DIRECTORIES = auto()
    AT_BEGIN = auto()
    AT_END = auto()
    AT_WORD_BOUNDARY = auto()
    NOT_AT_WORD_BOUNDARY = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """`chars` counts for `ONE`, `OPTIONAL` and `MANY` only."""

    kind: Kind
    chars: CharSet = ANY_CHAR


_ASSERTIONS = {
    "A": Kind.AT_BEGIN,
    "z": Kind.AT_END,
    "b": Kind.AT_WORD_BOUNDARY,
    "B": Kind.NOT_AT_WORD_BOUNDARY,
}


def parse_pattern(pattern: str) -> list[tuple[Step, ...]]:
    """The alternatives of a cleaned pattern: it matches a path when the steps of one of them can be taken from the
    path's begin to its end.

    Raises `DockerfileError` where BuildKit's expression would not compile.
    """
    # BuildKit adds its anchors to whatever it has: a bar leaves them to the first and the last alternative, and a
    # backslash at the end makes the second one an ordinary dollar sign.
    return [_anchored(steps) for steps in _Parser("^" + _go_expression(pattern) + "$").run()]


def _anchored(steps: list[Step]) -> tuple[Step, ...]:
    """Steps for a whole path from steps that may match anywhere in it."""
    begin = [] if steps[:1] == [Step(Kind.AT_BEGIN)] else [Step(Kind.MANY)]
    end = [] if steps[-1:] == [Step(Kind.AT_END)] else [Step(Kind.MANY)]
    return (*begin, *steps[1 - len(begin) : len(steps) - 1 + len(end)], *end)


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
    """Reads one expression; `_position` is where in `_text` reading goes on.

    `_repeatable` tells whether a count may follow: not where nothing stands that it could repeat, nor behind what is
    repeated already.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._steps: list[Step] = []
        self._repeatable = False

    def run(self) -> list[list[Step]]:
        alternatives: list[list[Step]] = []
        while self._position < len(self._text):
            if self._text.startswith("|", self._position):
                self._position += 1
                alternatives.append(self._steps)
                self._steps, self._repeatable = [], False
            else:
                self._construct()
                if len(self._steps) > _MAX_STEPS:
                    raise bad_pattern()
        return [*alternatives, self._steps]

    def _construct(self) -> None:
        text, position = self._text, self._position
        char = text[position]
        self._position += 1
        if char == "[":
            self._class()
        elif char == "\\":
            self._escape()
        elif text.startswith(_DIRECTORIES, position):
            self._position = position + len(_DIRECTORIES)
            self._add(Step(Kind.DIRECTORIES), repeatable=False)
        elif text.startswith(".*", position):
            self._position = position + 2
            self._add(Step(Kind.MANY, NOT_NEWLINE), repeatable=False)
        elif char == "^":
            self._add(Step(Kind.AT_BEGIN))
        elif char == "$":
            self._add(Step(Kind.AT_END))
        elif char == "{" and (count := _REPEAT.match(text, position)):
            self._position = count.end()
            self._repeat(count)
        else:
            self._add(Step(Kind.ONE, CharSet.of(ord(char))))

    def _add(self, step: Step, *, repeatable: bool = True) -> None:
        self._steps.append(step)
        self._repeatable = repeatable

    def _repeat(self, count: re.Match[str]) -> None:
        """Repeats the last step: `{2}`, `{2,}` or `{2,5}`."""
        low = _count(count[1])
        high = low if count[2] is None else None if count[3] is None else _count(count[3])
        if not self._repeatable or (high is not None and high < low):
            raise bad_pattern()
        self._repeatable = False
        step = self._steps.pop()
        if (
            step.kind is not Kind.ONE
        ):  # a condition: once is as good as many times, and perhaps is no condition
            self._steps += [step] if low else []
            return
        self._steps += [step] * low
        if high is None:
            self._steps.append(Step(Kind.MANY, step.chars))
        else:
            self._steps += [Step(Kind.OPTIONAL, step.chars)] * (high - low)

    def _escape(self) -> None:
        """What follows a backslash outside brackets."""
        char = self._text[self._position : self._position + 1]
        if char in _ASSERTIONS:
            self._position += 1
            self._add(Step(_ASSERTIONS[char]))
        elif char == "Q":
            self._position += 1
            literal, _, _ = self._text[self._position :].partition("\\E")
            self._position += len(literal) + len("\\E")
            for each in literal:
                self._add(Step(Kind.ONE, CharSet.of(ord(each))))
        else:
            named = self._named_set()
            self._add(Step(Kind.ONE, CharSet.of(self._code_point()) if named is None else CharSet(*named)))

    def _named_set(self) -> tuple[Ranges, frozenset[str]] | None:
        """`d`, `pL` and the like behind a backslash, in brackets or not."""
        kind = self._text[self._position : self._position + 1]
        if kind in PERL:
            self._position += 1
            return PERL[kind], frozenset()
        if kind not in ("p", "P"):
            return None
        match = _UNICODE_CLASS.match(self._text, self._position + 1)
        if match is None:
            raise bad_pattern()
        self._position = match.end()
        name = match[2] or match[3] or ""
        negated = (kind == "P") != (match[1] == "^")
        if re.sub("[ _-]", "", name).lower() == "ascii":
            ranges = spans("\x00\x7f")
            return complement(ranges) if negated else ranges, frozenset()
        categories = unicode_categories(name)
        if categories is None:
            raise _unknown_class()
        return (), CATEGORIES - categories if negated else categories

    def _code_point(self) -> int:
        """The character that an escape stands for. Raises for escapes that Go does not have."""
        char = self._text[self._position : self._position + 1]
        self._position += 1
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            return self._hexadecimal()
        if char and char in "01234567":
            return self._octal(char)
        if not char or not char.isascii() or char.isalnum():
            raise bad_pattern()
        return ord(char)

    def _hexadecimal(self) -> int:
        match = _HEXADECIMAL.match(self._text, self._position)
        if match is None:
            raise bad_pattern()
        self._position = match.end()
        point = int(match[1] or match[2], 16)
        if point > MAX_POINT:
            raise bad_pattern()
        return point

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
            self._add(Step(Kind.MANY, chars), repeatable=False)
        else:
            self._add(Step(Kind.ONE, chars))

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


def _count(digits: str) -> int:
    if len(digits) > 4 or int(digits) > _MAX_REPEAT:
        raise bad_pattern()
    return int(digits)


def _unknown_class() -> DockerfileError:
    return DockerfileError(
        "syntax error in pattern",
        code="bad-pattern",
        hint="Classes are named by Unicode's general categories, such as `L` or `Nd`; scripts are not supported.",
    )
