"""Rego's words. Line ends matter to the parser only as what separates expressions, so each token knows of them."""

from __future__ import annotations

import re
from typing import Any

from bakehouse.lazy import regex
from bakehouse.rego.errors import RegoError, at
from bakehouse.rego.syntax import Place
from bakehouse.values import dataclass

_TOKEN = regex(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<template>\$["`])
    |(?P<operator>:=|==|!=|<=|>=|[-+*/%&|<>=()\[\]{},:;.])""",
    re.VERBOSE,
)
_BLANK = regex(r"(?:[ \t\r\n]|\#[^\n]*)*")
_ESCAPE = regex(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt{}]))')
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is `name`, `number`, `string`, `template`, `operator` or `end`; `text` what stands there, `value` what it
    means. `spaced` and `new_line` say what is between it and the token before."""

    kind: str
    text: str
    place: Place
    value: Any = None
    spaced: bool = False
    new_line: bool = False


def tokens(file: str, text: str, start: Place = (1, 1)) -> list[Token]:
    """All tokens, an `end` last. Raises `RegoError`."""
    out: list[Token] = []
    at_line, line_start = start[0], 1 - start[1]
    position = 0
    while True:
        blank = _BLANK.match(text, position)
        end = blank.end() if blank is not None else position
        skipped = text[position:end]
        lines = skipped.count("\n")
        if lines:
            at_line += lines
            line_start = position + skipped.rindex("\n") + 1
        place = (at_line, end - line_start + 1)
        position = end
        if position >= len(text):
            out.append(Token("end", "", place, None, True, True))
            return out
        found = _TOKEN.match(text, position)
        if found is None:
            if text[position] in '"`':
                raise at(file, place, "the string does not end")
            raise at(file, place, f"unexpected character {text[position]!r}")
        kind, word = found.lastgroup or "", found[0]
        value: Any = None
        if kind == "number":
            # `a-1` is a difference: a sign belongs to a number only where no term can end before it.
            if word.startswith("-") and out and _ends_term(out[-1]):
                kind, word = "operator", "-"
            else:
                value = _number(word)
        elif kind == "string":
            value = unquoted(file, place, word[1:-1])
        elif kind == "raw":
            kind, value = "string", word[1:-1]
        elif kind == "template":
            word = _template_text(file, text, position, place)
            value = word[2:-1]
        out.append(Token(kind, word, place, value, end > 0 and bool(skipped), bool(lines) or not out))
        inner = word.count("\n")
        if inner:
            at_line += inner
            line_start = position + word.rindex("\n") + 1
        position += len(word)


def _ends_term(token: Token) -> bool:
    if token.kind == "operator":
        return token.text in (")", "]", "}")
    return token.kind != "name" or token.text not in (
        "in",
        "if",
        "else",
        "not",
        "as",
        "with",
        "contains",
        "some",
    )


def _number(word: str) -> int | float:
    if word.lstrip("-").isdigit():
        if len(word) > 4000:
            raise RegoError("a number has more than 4000 digits")
        return int(word)
    return float(word)


def unquoted(file: str, place: Place, text: str) -> str:
    """The string that stands between quotes."""

    def one(mark: re.Match[str]) -> str:
        if mark[1]:
            return chr(int(mark[1], 16))
        return _ESCAPED.get(mark[2], mark[2])

    if "\\" not in text:
        return text
    for bad in re.finditer(r"\\.", text):
        if not _ESCAPE.match(text, bad.start()):
            raise at(
                file, place, f"invalid escape {bad[0]} in a string", "write \\\\ for a backslash, or use `…`"
            )
    joined = _ESCAPE.sub(one, text)
    return joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _template_text(file: str, text: str, start: int, place: Place) -> str:
    """A template string as it stands, to its closing quote; quotes within braces are others'."""
    quote = text[start + 1]
    depth, position = 0, start + 2
    while position < len(text):
        char = text[position]
        if depth == 0 and char == quote:
            return text[start : position + 1]
        if char == "\\" and depth == 0 and (quote == '"' or text.startswith("{", position + 1)):
            position += 2
            continue
        if depth and char in '"`':
            close = text.find(char, position + 1)
            if close < 0:
                break
            position = close
        elif char == "{":
            depth += 1
        elif char == "}":
            depth = max(0, depth - 1)
        position += 1
    raise at(file, place, "the template string does not end")
