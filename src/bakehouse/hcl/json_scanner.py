"""Tokens and the tree of JSON files, with positions (hashicorp/hcl `json/scanner.go`, `json/parser.go`).

Columns follow the original: a tab counts two, a carriage return none, strings in grapheme clusters. The
meaning of the tree as bodies and expressions is in `json_syntax`.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, Position, SourceRange
from bakehouse.hcl import numbers
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STRING, NUMBER, KEYWORD, PUNCTUATION, INVALID, EOF = range(6)
MAX_DEPTH = 150

_SPACE = regex(r"[ \n\r\t]*")
_STRING = regex(r'"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*(?:\\?"|\\)?')
_NUMBER = regex(r"[-+.eE0-9]+")
_KEYWORD = regex(r"[A-Za-z_]+")
_VALID_NUMBER = regex(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")


class Token:
    __slots__ = ("kind", "range", "text")

    def __init__(self, kind: int, text: str, range_: SourceRange) -> None:
        self.kind = kind
        self.text = text
        self.range = range_

    def is_mark(self, mark: str) -> bool:
        return self.kind == PUNCTUATION and self.text == mark


class JsonNode:
    """A JSON value. `value` by `kind`: object → list of JsonProperty, array → list of JsonNode, string → str, number →
    numbers.Number, bool → bool, null and invalid → None. `open_range` and `close_range` are the brackets (of
    other kinds the whole range)."""

    __slots__ = ("close_range", "kind", "open_range", "range", "value")

    def __init__(
        self,
        kind: str,
        value: Any,
        range_: SourceRange,
        open_range: SourceRange | None = None,
        close_range: SourceRange | None = None,
    ) -> None:
        self.kind = kind
        self.value = value
        self.range = range_
        self.open_range = open_range or range_
        self.close_range = close_range or range_


class JsonProperty:
    """`"name": value` of an object."""

    __slots__ = ("name", "name_range", "value")

    def __init__(self, name: str, value: JsonNode, name_range: SourceRange) -> None:
        self.name = name
        self.value = value
        self.name_range = name_range


def scan(text: str, filename: str) -> list[Token]:
    """The tokens of a text; the last one is EOF. Scanning stops at a character that begins no token."""
    tokens: list[Token] = []
    at, line, column, byte = 0, 1, 1, 0

    def emit(kind: int, end: int) -> None:
        nonlocal at, column, byte
        piece = text[at:end]
        start = Position(line, column, byte)
        if piece.isascii():
            column += len(piece)
            byte += len(piece)
        else:
            from bakehouse.hcl.graphemes import count_clusters

            column += count_clusters(piece)
            byte += len(piece.encode("utf-8", "surrogateescape"))
        tokens.append(Token(kind, piece, SourceRange(filename, start, Position(line, column, byte))))
        at = end

    while True:
        found = _SPACE.match(text, at)
        assert found is not None
        for char in found.group():
            byte += 1
            if char == "\n":
                line, column = line + 1, 1
            elif char != "\r":
                column += 2 if char == "\t" else 1
        at = found.end()
        char = text[at : at + 1]
        if not char:
            emit(EOF, at)
            return tokens
        if char in "{}[],:=":
            emit(PUNCTUATION, at + 1)
            continue
        for kind, pattern in ((STRING, _STRING), (NUMBER, _NUMBER), (KEYWORD, _KEYWORD)):
            found = pattern.match(text, at) if kind in (STRING, KEYWORD) or char not in "eE_" else None
            if found is not None and not (kind == KEYWORD and char == "_"):
                emit(kind, found.end())
                break
        else:
            emit(INVALID, at + 1)
            emit(EOF, at)
            return tokens


def parse(text: str, filename: str) -> tuple[JsonNode, list[Diagnostic]]:
    """The value that the text holds, and what is wrong with it."""
    parser = _Parser(scan(text, filename))
    node = parser.value()
    rest = parser.peek()
    if not parser.found and rest.kind != EOF:
        parser.error(
            "Extraneous data after value", "Extra characters appear after the JSON value.", rest.range
        )
    return node, parser.found


_START = "A JSON value must start with a brace, a bracket, a number, a string, or a keyword."


class _Parser:
    __slots__ = ("at", "depth", "found", "tokens")

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.found: list[Diagnostic] = []

    def peek(self) -> Token:
        return self.tokens[self.at]

    def read(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != EOF:
            self.at += 1
        return token

    def error(
        self, summary: str, detail: str, subject: SourceRange, context: SourceRange | None = None
    ) -> None:
        self.found.append(
            Diagnostic(summary, detail, subject=subject, context=context, code="hcl-json-syntax")
        )

    def value(self) -> JsonNode:
        """Parse a value; what is none becomes a node of the kind `invalid`."""
        token = self.peek()
        node: JsonNode | None = None
        if token.is_mark("{") or token.is_mark("["):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.error(
                    "Nested too deeply",
                    f"JSON may not be nested more than {MAX_DEPTH} levels deep.",
                    token.range,
                )
                self.at = len(self.tokens) - 1
            else:
                node = self._object() if token.text == "{" else self._array()
            self.depth -= 1
        elif token.kind == STRING:
            node = self._string()
        elif token.kind == NUMBER:
            node = self._number()
        elif token.kind == KEYWORD:
            node = self._keyword()
        elif token.is_mark("}"):
            self.error("Missing JSON value", _START, token.range)
        elif token.is_mark("]"):
            self.error("Missing array element value", _START, token.range)
        elif token.kind == EOF:
            self.error("Missing value", "The JSON data ends prematurely.", token.range)
        else:
            self.error("Invalid start of value", _START, token.range)
        return node if node is not None else JsonNode("invalid", None, token.range)

    def _recover(self, token: Token, opening: str, closing: str) -> None:
        """Skip to the end of the bracket at hand, starting with `token`."""
        depth = 1
        while token.kind != EOF:
            if token.is_mark(opening):
                depth += 1
            elif token.is_mark(closing):
                depth -= 1
                if depth <= 1:
                    return
            token = self.read()

    def _object(self) -> JsonNode | None:
        open_ = self.read()
        properties: list[JsonProperty] = []
        while not self.peek().is_mark("}"):
            key = self.value()
            if key.kind != "string":
                self.error(
                    "Invalid object property name",
                    "A JSON object property name must be a string",
                    key.open_range,
                )
                return None
            if not self._colon():
                return None
            properties.append(JsonProperty(key.value, self.value(), key.range))
            follower = self.peek()
            if follower.is_mark(","):
                comma = self.read()
                if self.peek().is_mark("}"):
                    detail = "JSON does not permit a trailing comma after the final property in an object."
                    self.error("Trailing comma in object", detail, comma.range)
                    return None
            elif not follower.is_mark("}"):
                self._bad_object_end(follower, open_)
                return None
        close = self.read()
        span = SourceRange(open_.range.filename, open_.range.start, close.range.end)
        return JsonNode("object", properties, span, open_.range, close.range)

    def _colon(self) -> bool:
        colon = self.read()
        if colon.is_mark(":"):
            return True
        self._recover(colon, "{", "}")
        summary = "Missing property value colon"
        if colon.is_mark("}") or colon.is_mark(","):
            summary = "Missing object value"
            detail = "A JSON object attribute must have a value, introduced by a colon."
        elif colon.is_mark("="):
            detail = "JSON uses a colon as its name/value delimiter, not an equals sign."
        else:
            detail = "A colon must appear between an object property's name and its value."
        self.error(summary, detail, colon.range)
        return False

    def _bad_object_end(self, follower: Token, open_: Token) -> None:
        if follower.kind == EOF:
            self.error("Unclosed object", "No closing brace was found for this JSON object.", open_.range)
        elif follower.is_mark("]"):
            self.read()
            detail = "A JSON object must be closed with a brace, not a bracket."
            self.error("Mismatched braces", detail, self.peek().range)
        else:
            self._recover(self.read(), "{", "}")
            detail = "A comma must appear between each property definition in an object."
            self.error("Missing attribute seperator comma", detail, self.peek().range)

    def _array(self) -> JsonNode | None:
        open_ = self.read()
        values: list[JsonNode] = []
        while not self.peek().is_mark("]"):
            values.append(self.value())
            follower = self.peek()
            if follower.is_mark(","):
                comma = self.read()
                if self.peek().is_mark("]"):
                    detail = "JSON does not permit a trailing comma after the final value in an array."
                    self.error("Trailing comma in array", detail, comma.range)
                    return None
            elif not follower.is_mark("]"):
                self._bad_array_end(follower, open_)
                return None
        close = self.read()
        span = SourceRange(open_.range.filename, open_.range.start, close.range.end)
        return JsonNode("array", values, span, open_.range, close.range)

    def _bad_array_end(self, follower: Token, open_: Token) -> None:
        self._recover(self.read(), "[", "]")
        if follower.kind == EOF:
            self.error("Unclosed object", "No closing bracket was found for this JSON array.", open_.range)
            return
        summary = "Missing attribute seperator comma"
        detail = "A comma must appear between each value in an array."
        if follower.is_mark(":"):
            summary = "Invalid array value"
            detail = "A colon is not used to introduce values in a JSON array."
        elif follower.is_mark("}"):
            summary = "Mismatched brackets"
            detail = "A JSON array must be closed with a bracket, not a brace."
        self.error(summary, detail, self.peek().range)

    def _number(self) -> JsonNode | None:
        token = self.read()
        number = numbers.parse(token.text) if _VALID_NUMBER.match(token.text) else None
        if number is None:
            detail = "There is a syntax error in the given JSON number."
            self.error("Invalid JSON number", detail, token.range)
            return None
        return JsonNode("number", number, token.range)

    def _string(self) -> JsonNode | None:
        token = self.read()
        text, fault = unescape(token.text)
        if text is not None:
            return JsonNode("string", text, token.range)
        start = token.range.start
        subject = SourceRange(
            token.range.filename,
            Position(start.line, start.column + fault, start.byte + fault),
            Position(start.line, start.column + fault + 1, start.byte + fault + 1),
        )
        detail = "There is a syntax error in the given JSON string."
        self.error("Invalid JSON string", detail, subject, token.range)
        return None

    def _keyword(self) -> JsonNode | None:
        from bakehouse.go.text import quote
        from bakehouse.hcl.evaluation import suggestion

        token = self.read()
        word = token.text
        if word in ("true", "false"):
            return JsonNode("bool", word == "true", token.range)
        if word == "null":
            return JsonNode("null", None, token.range)
        if word in ("undefined", "NaN", "Infinity"):
            detail = f"The JavaScript identifier {quote(word)} cannot be used in JSON."
        else:
            close = suggestion(word, ("false", "true", "null"))
            hint = f" Did you mean {quote(close)}?" if close else ""
            detail = f"{quote(word)} is not a valid JSON keyword.{hint}"
        self.error("Invalid JSON keyword", detail, token.range)
        return None


_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def unescape(token: str) -> tuple[str | None, int]:
    """The text of a JSON string token (with its quotes), or None and how many bytes of the token were read until it
    went wrong.

    Halves of surrogate pairs and bytes that are not UTF-8 become U+FFFD.
    """
    if "\\" not in token and len(token) > 1 and token[-1] == '"':
        return _scrubbed(token[1:-1]), 0
    out: list[str] = []
    at, size = 1, len(token)
    while at < size and token[at] != '"':
        char = token[at]
        at += 1
        if char != "\\":
            out.append(char)
            continue
        selector = token[at : at + 1]
        at += 1
        if selector == "u":
            for _ in range(4):
                if token[at : at + 1] not in _HEX or at >= size:
                    return None, _bytes_read(token, at)
                at += 1
            out.append(chr(int(token[at - 4 : at], 16)))
        elif selector in _ESCAPES:
            out.append(_ESCAPES[selector])
        else:
            return None, _bytes_read(token, at - 1)
    if at != size - 1:
        return None, _bytes_read(token, size)
    joined = "".join(out)
    return _scrubbed(joined.encode("utf-16", "surrogatepass").decode("utf-16", "replace")), 0


_SURROGATE = regex("[\ud800-\udfff]")
_HEX = frozenset("0123456789abcdefABCDEF")


def _bytes_read(token: str, at: int) -> int:
    """How far a reader of bytes has come that stumbles over the first byte of token[at], or over the end."""
    before = len(token[:at].encode("utf-8", "surrogateescape"))
    return before + 1 if at < len(token) else before


def _scrubbed(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
