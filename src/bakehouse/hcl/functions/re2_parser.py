"""Parsing of RE2 patterns (Go `regexp/syntax` with Perl extensions). The tree is for `re2`."""

from __future__ import annotations

import re

from bakehouse.hcl.functions.re2 import PatternError
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    # ("set", predicate, None), ("cat"|"alt", list, None), ("rep", tree, (low, high or -1, greedy)),
    # ("cap", tree, index), ("at", kind, None)
    Tree: TypeAlias = tuple[str, Any, Any]
    Ranges: TypeAlias = list[tuple[int, int]]

_MAX_REPEAT = 1000
_MAX_DEPTH = 200
_REPEAT = regex(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_NAME = regex(r"\(\?P?<([^>]*)>")
_FLAGS = regex(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_PERL = {
    "d": [(0x30, 0x39)],
    "s": [(0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)],
    "w": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
}
_POSIX = {
    "alnum": [(0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)],
    "alpha": [(0x41, 0x5A), (0x61, 0x7A)],
    "ascii": [(0, 0x7F)],
    "blank": [(0x09, 0x09), (0x20, 0x20)],
    "cntrl": [(0, 0x1F), (0x7F, 0x7F)],
    "digit": [(0x30, 0x39)],
    "graph": [(0x21, 0x7E)],
    "lower": [(0x61, 0x7A)],
    "print": [(0x20, 0x7E)],
    "punct": [(0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)],
    "space": [(0x09, 0x0D), (0x20, 0x20)],
    "upper": [(0x41, 0x5A)],
    "word": _PERL["w"],
    "xdigit": [(0x30, 0x39), (0x41, 0x46), (0x61, 0x66)],
}
_SIMPLE = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


class CharSet:
    """A set of characters: ranges of code points and predicates, perhaps negated, perhaps without regard to case."""

    __slots__ = ("fold", "negated", "predicates", "ranges")

    def __init__(self, ranges: Ranges, fold: bool = False, negated: bool = False) -> None:
        self.ranges = ranges
        self.predicates: list[Callable[[str], bool]] = []
        self.fold = fold
        self.negated = negated

    def _has(self, char: str) -> bool:
        code = ord(char)
        return any(low <= code <= high for low, high in self.ranges) or any(
            predicate(char) for predicate in self.predicates
        )

    def __call__(self, char: str) -> bool:
        found = self._has(char)
        if not found and self.fold:
            found = any(self._has(variant) for variant in _variants(char))
        return found != self.negated


def _variants(char: str) -> set[str]:
    """The characters that differ from this one in case only."""
    folded = char.casefold()
    out = {char.lower(), char.upper(), folded, folded.upper()}
    if folded in ("k", "s"):
        out.add("\u212a" if folded == "k" else "\u017f")
    return {variant for variant in out if len(variant) == 1}


def parse(text: str) -> tuple[Tree, list[str]]:
    """The tree of a pattern, and the names of its groups. Raises PatternError."""
    parser = _Parser(text)
    tree = parser.alternatives()
    if parser.at < len(text):
        raise PatternError("unexpected )", text)
    return tree, parser.names


class _Parser:
    __slots__ = ("at", "depth", "flags", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.flags: frozenset[str] = frozenset()
        self.names: list[str] = []

    def alternatives(self) -> Tree:
        parts = [self._sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else ("alt", parts, None)

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        last_repeat = -1
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            start = self.at
            if self.text.startswith("\\Q", start):
                parts += self._quoted()
                continue
            repeat = self._repeat_at()
            if repeat is not None:
                if not parts:
                    raise PatternError("missing argument to repetition operator", self.text[start : self.at])
                if last_repeat >= 0:
                    raise PatternError("invalid nested repetition operator", self.text[last_repeat : self.at])
                parts[-1] = ("rep", parts[-1], repeat)
                last_repeat = start
                continue
            last_repeat = -1
            term = self._term()
            if term is not None:
                parts.append(term)
        return parts[0] if len(parts) == 1 else ("cat", parts, None)

    def _quoted(self) -> list[Tree]:
        end = self.text.find("\\E", self.at)
        literal = self.text[self.at + 2 : end if end >= 0 else len(self.text)]
        self.at = end + 2 if end >= 0 else len(self.text)
        return [self._literal(ord(char)) for char in literal]

    def _repeat_at(self) -> tuple[int, int, bool] | None:
        """The repetition operator at this place, consumed; None if there is none."""
        start, char = self.at, self.text[self.at]
        bounds = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}.get(char)
        end = start + 1
        if bounds is None:
            found = _REPEAT.match(self.text, start) if char == "{" else None
            if found is None:
                return None
            end = found.end()
            low = int(found.group(1)[:6])
            high = low if found.group(2) is None else int(found.group(3)[:6]) if found.group(3) else -1
            if low > _MAX_REPEAT or high > _MAX_REPEAT or 0 <= high < low:
                raise PatternError("invalid repeat count", found.group())
            bounds = (low, high)
        lazy = self.text.startswith("?", end)
        self.at = end + 1 if lazy else end
        return (*bounds, lazy == ("U" in self.flags))

    def _literal(self, code: int) -> Tree:
        return ("set", CharSet([(code, code)], "i" in self.flags), None)

    def _term(self) -> Tree | None:
        """One term; None for a change of flags, which matches nothing."""
        char = self.text[self.at]
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == "\\":
            return self._escape()
        self.at += 1
        if char == ".":
            ranges: Ranges = [(0, 0x10FFFF)] if "s" in self.flags else [(0, 9), (11, 0x10FFFF)]
            return ("set", CharSet(ranges), None)
        if char == "^":
            return ("at", "line-start" if "m" in self.flags else "start", None)
        if char == "$":
            return ("at", "line-end" if "m" in self.flags else "end", None)
        return self._literal(ord(char))

    def _group(self) -> Tree | None:
        start, outer = self.at, self.flags
        index = 0
        if not self.text.startswith("(?", start):
            self.at += 1
            self.names.append("")
            index = len(self.names)
        elif self.text.startswith(("(?P<", "(?<"), start):
            index = self._named_group(start)
        else:
            closing = self._set_flags(start)
            if closing == ")":
                return None
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise PatternError("expression nests too deeply", self.text)
        inner = self.alternatives()
        self.depth -= 1
        if not self.text.startswith(")", self.at):
            raise PatternError("missing closing )", self.text)
        self.at += 1
        self.flags = outer
        return ("cap", inner, index) if index else inner

    def _named_group(self, start: int) -> int:
        found = _GROUP_NAME.match(self.text, start)
        if found is None:
            raise PatternError("invalid named capture", self.text[start:])
        name = found.group(1)
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise PatternError("invalid named capture", found.group())
        self.names.append(name)
        self.at = found.end()
        return len(self.names)

    def _set_flags(self, start: int) -> str:
        found = _FLAGS.match(self.text, start)
        if found is None or found.end() - start < 3:
            rest = re.compile(r"\(\?[imsU]*(?:-[imsU]*)?").match(self.text, start)
            end = (rest.end() if rest else start) + 1
            if end > len(self.text):
                raise PatternError("missing closing )", self.text)
            raise PatternError("invalid or unsupported Perl syntax", self.text[start:end])
        self.flags = (self.flags | set(found.group(1))) - set(found.group(2) or "")
        self.at = found.end()
        return found.group(3)

    def _escape(self) -> Tree:
        start = self.at
        if start + 1 >= len(self.text):
            raise PatternError("trailing backslash at end of expression", "")
        char = self.text[start + 1]
        kinds = {"A": "start", "z": "end", "b": "word", "B": "no-word"}
        if char in kinds:
            self.at += 2
            return ("at", kinds[char], None)
        chars = self._class_escape()
        if chars is not None:
            return ("set", chars, None)
        return self._literal(self._code_escape())

    def _class_escape(self) -> CharSet | None:
        """`\\d`, `\\pL` and the like at this place, consumed; None if there is none."""
        char = self.text[self.at + 1 : self.at + 2]
        if char and char in "dswDSW":
            self.at += 2
            return CharSet(_PERL[char.lower()], False, char.isupper())
        if char in ("p", "P"):
            return self._unicode_class(char == "P")
        return None

    def _unicode_class(self, negated: bool) -> CharSet:
        found = re.compile(r"\\[pP](?:\{(\^?)([^}]*)\}|([^{]))", re.DOTALL).match(self.text, self.at)
        if found is None:
            raise PatternError("invalid character class range", self.text[self.at :])
        self.at = found.end()
        name = found.group(2) if found.group(2) is not None else found.group(3)
        predicate = _unicode_predicate(name)
        if predicate is None:
            raise PatternError("invalid character class range", found.group())
        chars = CharSet([], "i" in self.flags, negated != (found.group(1) == "^"))
        chars.predicates.append(predicate)
        return chars

    def _code_escape(self) -> int:
        """The code point of an escaped character, consumed."""
        found = re.compile(
            r"\\(?:([afnrtv])|x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})|([^0-9A-Za-z]))",
            re.DOTALL,
        ).match(self.text, self.at)
        if found is None or (found.group(5) is not None and not found.group(5).isascii()):
            raise PatternError("invalid escape sequence", self.text[self.at : self.at + 2])
        simple, long, short, octal, punctuation = found.groups()
        code = (
            _SIMPLE[simple]
            if simple
            else int(long or short, 16)
            if long or short
            else int(octal, 8)
            if octal
            else ord(punctuation)
        )
        if code > 0x10FFFF:
            raise PatternError("invalid escape sequence", found.group())
        self.at = found.end()
        return code

    def _class(self) -> Tree:
        start = self.at
        self.at += 1
        chars = CharSet([], "i" in self.flags)
        if self.text.startswith("^", self.at):
            chars.negated = True
            self.at += 1
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise PatternError("missing closing ]", self.text[start:])
            self._class_item(chars, start, first)
            first = False
        self.at += 1
        return ("set", chars, None)

    def _class_item(self, chars: CharSet, start: int, first: bool) -> None:
        rest = self.text[self.at : self.at + 2]
        if rest[0] == "-" and not first and rest != "-]":
            # A dash in the middle begins no range; it may only stand at either end.
            raise PatternError("invalid character class range", rest)
        if rest == "[:" and self.text.find(":]", self.at + 2) >= 0:
            self._posix_class(chars)
            return
        if rest[0] == "\\":
            inner = self._class_escape()
            if inner is not None:
                chars.predicates.append(inner)
                return
        begin = self.at
        low = self._class_char(start)
        high = low
        if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
            self.at += 1
            if self.at >= len(self.text):
                raise PatternError("missing closing ]", self.text[start:])
            high = self._class_char(start)
            if high < low:
                raise PatternError("invalid character class range", self.text[begin : self.at])
        chars.ranges.append((low, high))

    def _posix_class(self, chars: CharSet) -> None:
        end = self.text.find(":]", self.at + 2) + 2
        whole = self.text[self.at : end]
        name = whole[2:-2]
        ranges = _POSIX.get(name.removeprefix("^"))
        if ranges is None:
            raise PatternError("invalid character class range", whole)
        self.at = end
        chars.predicates.append(CharSet(ranges, chars.fold, name.startswith("^")))

    def _class_char(self, start: int) -> int:
        if self.at >= len(self.text):
            raise PatternError("missing closing ]", self.text[start:])
        if self.text[self.at] == "\\":
            if self.at + 1 >= len(self.text):
                raise PatternError("trailing backslash at end of expression", "")
            return self._code_escape()
        self.at += 1
        return ord(self.text[self.at - 1])


_CATEGORIES = frozenset(
    [
        "C",
        "Cc",
        "Cf",
        "Co",
        "Cs",
        "L",
        "Ll",
        "Lm",
        "Lo",
        "Lt",
        "Lu",
        "M",
        "Mc",
        "Me",
        "Mn",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Pe",
        "Pf",
        "Pi",
        "Po",
        "Ps",
        "S",
        "Sc",
        "Sk",
        "Sm",
        "So",
        "Z",
        "Zl",
        "Zp",
        "Zs",
    ]
)
_SCRIPTS = frozenset(
    [
        "Arabic",
        "Armenian",
        "Bengali",
        "Bopomofo",
        "Braille",
        "Cherokee",
        "Coptic",
        "Cyrillic",
        "Devanagari",
        "Ethiopic",
        "Georgian",
        "Gothic",
        "Greek",
        "Gujarati",
        "Gurmukhi",
        "Hangul",
        "Hebrew",
        "Hiragana",
        "Kannada",
        "Katakana",
        "Khmer",
        "Lao",
        "Latin",
        "Malayalam",
        "Mongolian",
        "Myanmar",
        "Ogham",
        "Oriya",
        "Runic",
        "Sinhala",
        "Syriac",
        "Tamil",
        "Telugu",
        "Thaana",
        "Thai",
        "Tibetan",
    ]
)


def _unicode_predicate(name: str) -> Callable[[str], bool] | None:
    import unicodedata

    if name == "Any":
        return lambda char: True
    if name in _CATEGORIES:
        return lambda char: unicodedata.category(char).startswith(name)
    if name == "Han":
        return lambda char: unicodedata.name(char, "").startswith(
            ("CJK UNIFIED", "CJK COMPATIBILITY IDEO", "CJK RADICAL")
        )
    if name in _SCRIPTS:
        prefix = name.upper() + " "
        return lambda char: unicodedata.name(char, "").startswith(prefix) and char.isalpha()
    return None
