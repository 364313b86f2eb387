"""Anchors, aliases, tags and directives of YAML, as tokens."""

from __future__ import annotations

from yaml import tokens

from bakehouse.bake.compose.cursor import BLANKS, BREAKS, END, STOPS
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bakehouse.bake.compose.cursor import Cursor, Mark

_URI = regex(r"[0-9A-Za-z_\-;/?:@&=+$.!~*'()%]")
_VERBATIM_URI = regex(r"[0-9A-Za-z_\-;/?:@&=+$.!~*'()%,\[\]{}]")
_WORD = regex(r"[0-9A-Za-z_-]")
_ANCHOR = regex(r"[!-~]")
_FLOW = ",[]{}"
_AFTER_ANCHOR = STOPS + "?:,]}%@`"
_HEX_DIGITS = "0123456789abcdefABCDEF"


def anchor(cursor: Cursor, char: str) -> tokens.Token:
    """An anchor (`&`) or an alias (`*`)."""
    start = cursor.mark()
    cursor.take()
    name = ""
    while _ANCHOR.match(cursor.peek()) and cursor.peek() not in _FLOW + ":":
        name += cursor.take()
    if not name or cursor.peek() not in _AFTER_ANCHOR:
        what = "an anchor" if char == "&" else "an alias"
        cursor.fail("did not find expected alphabetic or numeric character", f"while scanning {what}", start)
    kind = tokens.AnchorToken if char == "&" else tokens.AliasToken
    return kind(name, start, cursor.mark())


def tag(cursor: Cursor) -> tokens.Token:
    """`!tag`, `!!tag`, `!handle!tag` or `!<tag>`."""
    start = cursor.mark()
    handle: str | None = None
    if cursor.peek(1) == "<":
        cursor.take(2)
        suffix = _tag_uri(cursor, "", "while parsing a tag", start, verbatim=True)
        if cursor.peek() != ">":
            cursor.fail("did not find the expected '>'", "while scanning a tag", start)
        cursor.take()
    else:
        handle = _tag_handle(cursor)
        if len(handle) > 1 and handle.endswith("!"):
            suffix = _tag_uri(cursor, "", "while parsing a tag", start)
        else:
            suffix = _tag_uri(cursor, handle, "while parsing a tag", start)
            handle = "!"
            if not suffix:
                handle, suffix = None, "!"
    if cursor.peek() not in STOPS:
        cursor.fail("did not find expected whitespace or line break", "while scanning a tag", start)
    return tokens.TagToken((handle, suffix), start, cursor.mark())


def directive(cursor: Cursor) -> tokens.Token:
    """`%YAML` or `%TAG`, with the rest of its line."""
    start = cursor.mark()
    context = "while scanning a directive"
    cursor.take()
    name = ""
    while _WORD.match(cursor.peek()):
        name += cursor.take()
    if not name:
        cursor.fail("could not find expected directive name", context, start)
    if cursor.peek() not in STOPS:
        cursor.fail("found unexpected non-alphabetical character", context, start)
    value: Any
    if name == "YAML":
        value = _version(cursor, start)
    elif name == "TAG":
        value = _tag_prefix(cursor, start)
    else:
        cursor.fail("found unknown directive name", context, start)
    token = tokens.DirectiveToken(name, value, start, cursor.mark())
    cursor.skip_blanks()
    if cursor.peek() == "#":
        cursor.take_line()
    if cursor.peek() not in BREAKS + END:
        cursor.fail("did not find expected comment or line break", context, start)
    if cursor.peek() in BREAKS:
        cursor.take_break()
    return token


def _tag_handle(cursor: Cursor) -> str:
    handle = cursor.take()
    while _WORD.match(cursor.peek()):
        handle += cursor.take()
    return handle + cursor.take() if cursor.peek() == "!" else handle


def _tag_uri(cursor: Cursor, head: str, context: str, start: Mark, *, verbatim: bool = False) -> str:
    out = bytearray(head[1:].encode())
    found = bool(head)
    allowed = _VERBATIM_URI if verbatim else _URI
    while allowed.match(cursor.peek()):
        found = True
        if cursor.peek() == "%":
            out += _octets(cursor, context, start)
        else:
            out += cursor.take().encode()
    char = cursor.peek()
    if not verbatim and char not in STOPS and " " <= char <= "~":
        cursor.fail(f"found character '{char}' that is not allowed in a YAML tag", context, start)
    if not found:
        cursor.fail("did not find expected tag URI", context, start)
    return out.decode("utf-8", "replace")


def _octets(cursor: Cursor, context: str, start: Mark) -> bytes:
    """One character of a tag, written as `%XX` for each of its bytes."""
    out = bytearray()
    left = 1
    while left:
        digits = cursor.text[cursor.at + 1 : cursor.at + 3]
        if cursor.peek() != "%" or not all(digit in _HEX_DIGITS for digit in digits):
            cursor.fail("did not find URI escaped octet", context, start)
        octet = int(digits, 16)
        if not out:
            left = _width(octet)
            if not left:
                cursor.fail("found an incorrect leading UTF-8 octet", context, start)
        elif octet & 0xC0 != 0x80:
            cursor.fail("found an incorrect trailing UTF-8 octet", context, start)
        out.append(octet)
        cursor.take(3)
        left -= 1
    return bytes(out)


def _version(cursor: Cursor, start: Mark) -> tuple[int, int]:
    cursor.skip_blanks()
    major = _version_number(cursor, start)
    if cursor.peek() != ".":
        cursor.fail("did not find expected digit or '.' character", "while scanning a %YAML directive", start)
    cursor.take()
    return major, _version_number(cursor, start)


def _version_number(cursor: Cursor, start: Mark) -> int:
    context = "while scanning a %YAML directive"
    digits = ""
    while "0" <= cursor.peek() <= "9":
        if len(digits) == 2:
            cursor.fail("found extremely long version number", context, start)
        digits += cursor.take()
    if not digits:
        cursor.fail("did not find expected version number", context, start)
    return int(digits)


def _tag_prefix(cursor: Cursor, start: Mark) -> tuple[str, str]:
    context = "while scanning a %TAG directive"
    cursor.skip_blanks()
    if cursor.peek() != "!":
        cursor.fail("did not find expected '!'", "while parsing a %TAG directive", start)
    handle = _tag_handle(cursor)
    if handle != "!" and not handle.endswith("!"):
        cursor.fail("did not find expected '!'", "while parsing a %TAG directive", start)
    if cursor.peek() not in BLANKS:
        cursor.fail("did not find expected whitespace", context, start)
    cursor.skip_blanks()
    prefix = _tag_uri(cursor, "", "while parsing a %TAG directive", start, verbatim=True)
    if cursor.peek() not in STOPS:
        cursor.fail("did not find expected whitespace or line break", context, start)
    return handle, prefix


def _width(octet: int) -> int:
    """How many bytes the character has that begins with this one; 0 if none does."""
    if octet < 0x80:
        return 1
    for width, mask, bits in ((2, 0xE0, 0xC0), (3, 0xF0, 0xE0), (4, 0xF8, 0xF0)):
        if octet & mask == bits:
            return width
    return 0
