"""Escapes in quoted strings and the literal text of templates (hashicorp/hcl `ParseStringLiteralToken`)."""

from __future__ import annotations

import re

from bakehouse.go.text import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.token_stream import TokenStream

_QUOTED = r"\\u[0-9a-fA-F]{0,4}|\\U[0-9a-fA-F]{0,8}|\\[^uU]?|\$(?:\$\{?)?|%(?:%\{?)?"
_UNQUOTED = r"\$(?:\$\{?)?|%(?:%\{?)?"
_SIMPLE = {"\\n": "\n", "\\r": "\r", "\\t": "\t", '\\"': '"', "\\\\": "\\", "$${": "${", "%%{": "%{"}
_SUMMARY = "Invalid escape sequence"


def literal_text(stream: TokenStream, start: int, end: int, quoted: bool) -> str:
    """The text that text[start:end] stands for: `$${` and `%%{` lose a mark, and in `quoted` strings backslash
    sequences are resolved. A bad sequence is reported to `stream` and stays as it is."""
    text = stream.text[start:end]
    if "\\" not in text and "$" not in text and "%" not in text:
        return text

    def resolve(found: re.Match[str]) -> str:
        piece = found.group()
        simple = _SIMPLE.get(piece)
        if simple is not None:
            return simple
        if piece[0] != "\\":
            return piece
        return _escape(stream, piece, start + found.start())

    return re.sub(_QUOTED if quoted else _UNQUOTED, resolve, text, flags=re.DOTALL)


def _escape(stream: TokenStream, piece: str, at: int) -> str:
    end = at + len(piece)
    if len(piece) < 2:
        detail = "Backslash must be followed by an escape sequence selector character."
        stream.error(_SUMMARY, detail, at, end)
        return piece
    if piece[1] == "u" and len(piece) != 6:
        detail = "The \\u escape sequence must be followed by four hexadecimal digits."
        stream.error(_SUMMARY, detail, at, end)
        return piece
    if piece[1] == "U" and len(piece) != 10:
        detail = "The \\U escape sequence must be followed by eight hexadecimal digits."
        stream.error(_SUMMARY, detail, at, end)
        return piece
    if piece[1] in "uU":
        digits = piece[2:]
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            stream.error(_SUMMARY, f"Cannot encode character U+{code:04x} in UTF-8.", at, end)
            return piece
        return chr(code)
    detail = f"The symbol {quote(piece[1:])} is not a valid escape sequence selector."
    stream.error(_SUMMARY, detail, at, end)
    return piece[1:]
