"""One ignore pattern as a regular expression: the translation that BuildKit makes, and from Go's syntax to
Python's.

BuildKit hands a half-escaped text to Go's regexp package, so what a backslash or a bracket means in an ignore
file is what it means there (dockerfile.md §11.2). Only the constructs that can arise are known here.
"""

from __future__ import annotations

import re

from bakehouse.dockerfile.globs import bad_pattern
from bakehouse.dockerfile.positions import DockerfileError

_ESCAPED = frozenset(".+()|{}$")
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_CLASSES = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": "\\t\\n\\f\\r ",
    "D": "\\x00-/:-\\U0010ffff",
    "W": "\\x00-/:-@\\[-\\^`{-\\U0010ffff",
    "S": "\\x00-\\x08\\x0b\\x0e-\\x1f!-\\U0010ffff",
}
_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7f",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t-\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_POSIX_COMPLEMENT = {
    "alnum": "\\x00-/:-@\\[-`{-\\U0010ffff",
    "alpha": "\\x00-@\\[-`{-\\U0010ffff",
    "ascii": "\\x80-\\U0010ffff",
    "blank": "\\x00-\\x08\\n-\\x1f!-\\U0010ffff",
    "cntrl": " -~\\x80-\\U0010ffff",
    "digit": "\\x00-/:-\\U0010ffff",
    "graph": "\\x00- \\x7f-\\U0010ffff",
    "lower": "\\x00-`{-\\U0010ffff",
    "print": "\\x00-\\x1f\\x7f-\\U0010ffff",
    "punct": "\\x00- 0-9A-Za-z\\x7f-\\U0010ffff",
    "space": "\\x00-\\x08\\x0e-\\x1f!-\\U0010ffff",
    "upper": "\\x00-@\\[-\\U0010ffff",
    "word": "\\x00-/:-@\\[-\\^`{-\\U0010ffff",
    "xdigit": "\\x00-/:-@G-`g-\\U0010ffff",
}


def translate(pattern: str) -> str:
    """The Python regular expression (to be used with `fullmatch` and `re.ASCII`) for a cleaned pattern.

    Raises `DockerfileError` where BuildKit's expression would not compile.
    """
    expression = _go_expression(pattern)
    if ends_in_backslash(pattern):
        # BuildKit appends its end anchor, which the backslash turns into a dollar sign: the end is open.
        return _Translator(expression + "$").run() + "(?s:.*)"
    return _Translator(expression).run()


def ends_in_backslash(pattern: str) -> bool:
    """Whether the last character is a backslash that no other backslash protects."""
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 1


def _go_expression(pattern: str) -> str:
    """The expression as it is handed to Go, without its anchors."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*" and pattern.startswith("*", position):
            position += 1
            if pattern.startswith("/", position):
                position += 1
            out.append(".*" if position == len(pattern) else "(.*/)?")
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


class _Translator:
    """Rewrites one expression; `_position` is where in `_text` reading goes on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def run(self) -> str:
        out: list[str] = []
        text = self._text
        while self._position < len(text):
            char = text[self._position]
            if text.startswith("(.*/)?", self._position):
                out.append("(?:.*/)?")
                self._position += 6
            elif text.startswith(".*", self._position):
                out.append(".*")
                self._position += 2
            elif char == "[":
                self._position += 1
                out.append(self._class())
            elif char == "\\":
                self._position += 1
                out.append(self._escape(in_class=False))
            elif char in "*^":
                # A star can only be left behind a class, a `^` in the middle never matches: as in Go.
                out.append(char)
                self._position += 1
            else:
                out.append(re.escape(char))
                self._position += 1
        return "".join(out)

    def _escape(self, *, in_class: bool) -> str:
        """What follows a backslash, as an expression or as a part of a class."""
        char = self._text[self._position : self._position + 1]
        self._position += 1
        if not char:
            raise bad_pattern()
        if char in _CLASSES:
            return _CLASSES[char] if in_class else f"[{_CLASSES[char]}]"
        if char in "bBAz" and not in_class:
            return "\\Z" if char == "z" else "\\" + char
        return _literal(self._code_point(char))

    def _code_point(self, char: str) -> int:
        """The character that an escape stands for. Raises for escapes that Go does not have."""
        if char in _CONTROL:
            return _CONTROL[char]
        if char == "x":
            digits = self._text[self._position : self._position + 2]
            if not re.fullmatch("[0-9A-Fa-f]{2}", digits):
                raise bad_pattern()
            self._position += 2
            return int(digits, 16)
        if char in "01234567":
            return self._octal(char)
        if char in "pPQ":
            raise DockerfileError(
                f"the escape \\{char} is not supported in ignore patterns",
                code="bad-pattern",
                hint="Write the characters themselves, or a class in brackets.",
            )
        if not char.isascii() or char.isalnum():
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

    def _class(self) -> str:
        """A bracket expression after its opening bracket."""
        text = self._text
        negated = text.startswith("^", self._position)
        self._position += negated
        items: list[str] = []
        while not items or not text.startswith("]", self._position):
            if self._position >= len(text):
                raise bad_pattern()
            items.append(self._posix_class() or self._class_item())
        self._position += 1
        return ("[^" if negated else "[") + "".join(items) + "]"

    def _posix_class(self) -> str | None:
        match = re.compile(r"\[:(\^?)([a-z]+):\]").match(self._text, self._position)
        if match is None:
            if self._text.startswith("[:", self._position) and ":]" in self._text[self._position + 2 :]:
                raise bad_pattern()
            return None
        table = _POSIX_COMPLEMENT if match[1] else _POSIX
        if match[2] not in table:
            raise bad_pattern()
        self._position = match.end()
        return table[match[2]]

    def _class_item(self) -> str:
        """One character, a range, or a class such as `\\d`."""
        text = self._text
        if text[self._position] == "\\" and text[self._position + 1 : self._position + 2] in tuple(_CLASSES):
            self._position += 1
            return self._escape(in_class=True)
        low = self._class_char()
        follower = text[self._position + 1 : self._position + 2]
        if not text.startswith("-", self._position) or follower in ("]", ""):
            return _literal(low)
        self._position += 1
        high = self._class_char()
        if high < low:
            raise bad_pattern()
        return f"{_literal(low)}-{_literal(high)}"

    def _class_char(self) -> int:
        if self._position >= len(self._text):
            raise bad_pattern()
        char = self._text[self._position]
        self._position += 1
        if char != "\\":
            return ord(char)
        escaped = self._text[self._position : self._position + 1]
        self._position += 1
        if not escaped:
            raise bad_pattern()
        return self._code_point(escaped)


def _literal(point: int) -> str:
    """A character that means itself inside and outside classes."""
    if point < 0x80:
        char = chr(point)
        return char if char.isalnum() or char in " /_" else f"\\x{point:02x}"
    return f"\\U{point:08x}"
