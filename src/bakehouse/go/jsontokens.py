"""JSON as Go's `encoding/json` reads it piece by piece: `Decoder.Token`, `Decoder.Decode` and their complaints.

Bytes are what Go's reader works on, so a complaint about a letter beyond ASCII names its first byte. Numbers stay text.
A text needs no more memory than its tokens, however deep it nests.
"""

from __future__ import annotations

from bakehouse.go.text import quote_rune, replace_invalid
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import NoReturn, TypeAlias

    #: A token; None is `null`.
    Token: TypeAlias = "Delimiter | Number | str | bool | None"

#: Go's own limit for a value that is read in one piece.
MAX_DEPTH = 10_000

_SPACE = regex(r"[ \t\r\n]*")
_PLAIN = regex(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_ESCAPE = regex(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_DIGITS = regex("[0-9]*")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HEX = frozenset("0123456789abcdefABCDEF")
_WORDS = {"t": "true", "f": "false", "n": "null"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_AFTER = {"[": "after array element", "{": "after object key:value pair"}


class JsonError(Exception):
    """What is wrong with the text, in Go's words."""


class Delimiter(str):
    """One of `[ ] { }`."""

    __slots__ = ()


class Number(str):
    """The text of a number."""

    __slots__ = ()


class Decoder:
    """Reads a text token by token, or value by value in between."""

    __slots__ = ("_at", "_open", "_state", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        # The brackets that are open, and what the innermost one awaits: its first item (`start`), any item (`value`),
        # a key (`key`), a colon (`colon`), or what follows an item (`after`).
        self._open: list[str] = []
        self._state = "value"

    def more(self) -> bool:
        """Whether something follows that closes nothing."""
        char = self._peek()
        return char not in ("", "]", "}")

    def token(self) -> Token:
        """The next token; commas and colons are passed over. Raises `JsonError`, with `EOF` at the end."""
        while True:
            char = self._peek()
            if char == "":
                raise JsonError("EOF")
            if char in "[{" and self._awaits_value():
                self._at += 1
                self._open.append(char)
                self._state = "start"
                return Delimiter(char)
            if char in "]}" and self._closes(char):
                self._at += 1
                self._open.pop()
                self._state = "after" if self._open else "value"
                return Delimiter(char)
            if char == ":" and self._state == "colon":
                self._at += 1
                self._state = "value"
            elif char == "," and self._state == "after":
                self._at += 1
                self._state = "key" if self._open[-1] == "{" else "value"
            elif char == '"' and self._awaits_key():
                key = self._scalar()
                self._state = "colon"
                return key
            elif char in "[]{}:," or not self._awaits_value():
                self._complain(char)
            else:
                scalar = self._scalar()
                self._state = "after" if self._open else "value"
                return scalar

    def value(self) -> str:
        """The text of the next value, whole. Raises `JsonError`."""
        self._prepare()
        start = self._skip(self._at)
        if start == len(self._text):
            raise JsonError("EOF")
        self._at = _end_of_value(self._text, start)
        self._state = "after" if self._open else "value"
        return self._text[start : self._at]

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        assert found is not None
        return found.end()

    def _peek(self) -> str:
        self._at = self._skip(self._at)
        return self._text[self._at : self._at + 1]

    def _in_object(self) -> bool:
        return bool(self._open) and self._open[-1] == "{"

    def _awaits_value(self) -> bool:
        return self._state == "value" or (self._state == "start" and not self._in_object())

    def _awaits_key(self) -> bool:
        return self._state == "key" or (self._state == "start" and self._in_object())

    def _closes(self, char: str) -> bool:
        return (
            self._state in ("start", "after")
            and bool(self._open)
            and (self._open[-1] == "[") == (char == "]")
        )

    def _complain(self, char: str) -> NoReturn:
        if self._awaits_value():
            _invalid(char, "looking for beginning of value")
        if self._state == "start":
            _invalid(char, "")
        if self._state == "key":
            _invalid(char, "looking for beginning of object key string")
        if self._state == "colon":
            _invalid(char, "after object key")
        _invalid(char, _AFTER[self._open[-1]])

    def _prepare(self) -> None:
        """Passes the comma or colon before a value that is read whole."""
        if self._state == "after" and self._open[-1] == "[":
            mark, complaint = ",", "expected comma after array element"
        elif self._state == "colon":
            mark, complaint = ":", "expected colon after object key"
        elif self._awaits_value():
            return
        else:
            raise JsonError("not at beginning of value")
        char = self._peek()
        if char == "":
            raise JsonError("EOF")
        if char != mark:
            raise JsonError(complaint)
        self._at += 1

    def _scalar(self) -> Number | str | bool | None:
        start = self._at
        self._at = _end_of_scalar(self._text, start)
        piece = self._text[start : self._at]
        if piece[0] == '"':
            return _unquoted(piece[1:-1])
        return _CONSTANTS[piece] if piece in _CONSTANTS else Number(piece)


def _invalid(char: str, where: str) -> NoReturn:
    byte = char.encode("utf-8", "surrogateescape")[0]
    raise JsonError(f"invalid character {quote_rune(chr(byte))} {where}".rstrip())


def _next(text: str, at: int) -> str:
    """text[at], which must be there: else the text ends within a value."""
    if at >= len(text):
        raise JsonError("unexpected EOF")
    return text[at]


def _end_of_scalar(text: str, at: int) -> int:
    char = text[at]
    if char == '"':
        return _end_of_string(text, at)
    if char == "-" or char in "0123456789":
        return _end_of_number(text, at)
    word = _WORDS.get(char)
    if word is None:
        _invalid(char, "looking for beginning of value")
    for index, letter in enumerate(word):
        found = _next(text, at + index)
        if found != letter:
            _invalid(found, f"in literal {word} (expecting '{letter}')")
    return at + len(word)


def _end_of_string(text: str, at: int) -> int:
    found = _PLAIN.match(text, at + 1)
    assert found is not None
    at = found.end()
    char = _next(text, at)
    if char == '"':
        return at + 1
    if char != "\\":
        _invalid(char, "in string literal")
    char = _next(text, at + 1)
    if char != "u":
        _invalid(char, "in string escape code")
    for index in range(at + 2, at + 6):
        char = _next(text, index)
        if char not in _HEX:
            _invalid(char, "in \\u hexadecimal character escape")
    raise AssertionError("a complete escape was not recognised")


def _end_of_number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
    at = at + 1 if _next(text, at) == "0" else _digits(text, at, "in numeric literal")
    if text[at : at + 1] == ".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if text[at : at + 1] in ("e", "E"):
        at += 1
        if _next(text, at) in "+-":
            at += 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at


def _digits(text: str, at: int, where: str) -> int:
    """The end of the digits at `at`, of which there must be one."""
    char = _next(text, at)
    if char not in "0123456789":
        _invalid(char, where)
    found = _DIGITS.match(text, at)
    assert found is not None
    return found.end()


def _end_of_value(text: str, at: int) -> int:
    """The end of the value at `at`, which may nest; not recursive, so that depth costs no stack."""
    opened: list[str] = []
    fresh = False  # whether a bracket was opened just now, so that it may be closed at once
    while True:
        char = _next(text, at)
        if fresh and char == ("]" if opened[-1] == "[" else "}"):
            opened.pop()
            at += 1
        else:
            if opened and opened[-1] == "{":
                at = _after_key(text, at)
                char = _next(text, at)
            if char in "[{":
                opened.append(char)
                if len(opened) > MAX_DEPTH:
                    raise JsonError("exceeded max depth")
                fresh = True
                at = _spaces(text, at + 1)
                continue
            at = _end_of_scalar(text, at)
        fresh = False
        while opened:
            at = _spaces(text, at)
            char = _next(text, at)
            at += 1
            if char == ",":
                at = _spaces(text, at)
                break
            if char != ("]" if opened[-1] == "[" else "}"):
                _invalid(char, _AFTER[opened[-1]])
            opened.pop()
        else:
            return at


def _spaces(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _after_key(text: str, at: int) -> int:
    """Where the value of the object's member at `at` begins."""
    char = text[at]
    if char != '"':
        _invalid(char, "looking for beginning of object key string")
    at = _spaces(text, _end_of_string(text, at))
    char = _next(text, at)
    if char != ":":
        _invalid(char, "after object key")
    return _spaces(text, at + 1)


def _unquoted(text: str) -> str:
    """The characters that the inside of a string literal means; lone halves of pairs become U+FFFD."""
    if "\\" in text:
        text = _ESCAPE.sub(_escaped, text)
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return replace_invalid(text)


def _escaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])
