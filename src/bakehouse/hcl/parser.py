"""Parsing of the native syntax: bodies and the entry points (hashicorp/hcl `hclsyntax/parser.go`). On the
start-up path.

body      = { attribute | block | newline }
attribute = name "=" expression newline
block     = name { label } "{" ( newline body | [ attribute without newline ] ) "}" newline
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic
from bakehouse.hcl.expression_parser import ExpressionParser
from bakehouse.hcl.lexer import (
    CLOSE_BRACE,
    CLOSE_QUOTE,
    COMMA,
    EOF,
    EQUAL,
    IDENT,
    NEWLINE,
    OPEN_BRACE,
    OPEN_QUOTE,
    QUOTED_LITERAL,
    STRING,
    TEMPLATE_CONTROL,
    TEMPLATE_END,
    TEMPLATE_INTERPOLATION,
    tokenize,
)
from bakehouse.hcl.native_body import NativeAttribute, NativeBlock, NativeBody
from bakehouse.hcl.source import Source
from bakehouse.hcl.token_stream import MAX_DEPTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.hcl.expressions import Node
    from bakehouse.hcl.syntax import Attribute, Block, Body
    from bakehouse.hcl.traversal import Traversal

_REQUIRED = ("Argument or block definition required", "An argument or block definition is required here.")
_EQUALS = ' To set an argument, use the equals sign "=" to introduce the argument value.'
_UNCLOSED = (
    "Unclosed configuration block",
    "There is no closing brace for this block before the end of the file. This may be caused by incorrect brace "
    "nesting elsewhere in this file.",
)
_SINGLE = "Invalid single-argument block definition"


def parse_native(text: str | bytes, filename: str) -> tuple[Body, list[Diagnostic]]:
    """Parse a file in native syntax. The body holds what could be read; it is complete if there are no
    findings. Bytes that are not UTF-8 are a finding."""
    tokens, found = tokenize(Source(text, filename))
    return BodyParser(tokens, found).body(EOF), found


def parse_expression(
    text: str, filename: str, line: int = 1, column: int = 1, byte: int = 0
) -> tuple[Node, list[Diagnostic]]:
    """Parse a text that is one expression and begins at the given place of the file. Newlines count for nothing."""
    tokens, found = tokenize(Source(text, filename, line, column, byte))
    parser = ExpressionParser(tokens, found)
    parser.newlines = False
    node = parser.expression()
    rest = parser.peek()
    if parser.kinds[rest] != EOF and not parser.recovery:
        parser.error_at(
            "Extra characters after expression",
            "An expression was successfully parsed, but extra characters were found after it.",
            rest,
        )
    return node, found


def parse_template(
    text: str, filename: str, line: int = 1, column: int = 1, byte: int = 0
) -> tuple[Node, list[Diagnostic]]:
    """Parse a text as the inside of a quoted template, without escapes by backslash."""
    from bakehouse.hcl.template_parser import parse_bare_template

    tokens, found = tokenize(Source(text, filename, line, column, byte), template=True)
    return parse_bare_template(ExpressionParser(tokens, found)), found


def parse_traversal(
    text: str, filename: str, line: int = 1, column: int = 1, byte: int = 0
) -> tuple[Traversal | None, list[Diagnostic]]:
    """Parse a text that is an absolute traversal: a name, then attributes and constant indexes."""
    from bakehouse.hcl.traversal_parser import TraversalParser

    tokens, found = tokenize(Source(text, filename, line, column, byte))
    return TraversalParser(tokens, found).traversal(), found


class BodyParser(ExpressionParser):
    """Builds bodies."""

    __slots__ = ()

    def body(self, end: int) -> NativeBody:
        """Parse items up to the token `end`, which is consumed."""
        kinds = self.kinds
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        opening = self.last if self.last >= 0 else self.peek()
        start = self.starts[opening]
        while True:
            index = self.position  # newlines always count here
            kind = kinds[index]
            if kind == IDENT:
                self._item(index, attributes, blocks)
            elif kind == end:
                self.read()
                break
            elif kind == NEWLINE:
                self.position = index + 1
                self.last = index
            else:
                self._bad_item(index, end, opening)
                break
        return NativeBody(attributes, blocks, self.source, start, self.last_end())

    def _bad_item(self, index: int, end: int, opening: int) -> None:
        self.read()
        if not self.recovery:
            kind = self.kinds[index]
            if kind in (OPEN_QUOTE, STRING):
                self.error_at("Invalid argument name", "Argument names must not be quoted.", index)
            elif kind == EOF:
                self.error_at(*_UNCLOSED, opening)
            else:
                self.error_at(*_REQUIRED, index)
        self.recover(end)

    def _item(self, index: int, attributes: dict[str, Attribute], blocks: list[Block]) -> None:
        self.last = index
        self.position = index + 1
        kind = self.kinds[index + 1]
        if kind == EQUAL:
            attribute = self._attribute(index, False)
            existing = attributes.get(attribute.name)
            if existing is None:
                attributes[attribute.name] = attribute
            else:
                detail = (
                    f'The argument "{attribute.name}" was already set at {existing.name_range!r}. Each argument may be '
                    "set only once."
                )
                self.error_at("Attribute redefined", detail, index)
        elif kind in (STRING, OPEN_BRACE, IDENT, OPEN_QUOTE):
            blocks.append(self._block(index))
        else:
            self._missing_equals(index)

    def _missing_equals(self, index: int) -> None:
        self.recover_after_item()
        self.error_at(_REQUIRED[0], _REQUIRED[1] + _EQUALS, index)

    def _attribute(self, name: int, single_line: bool) -> NativeAttribute:
        """`= expression` and, unless the block is on one line, the newline; the name was just read."""
        self.last = name + 1
        self.position = name + 2
        mark = len(self.found)
        expression = self.expression()
        end = self.last_end()
        if self.recovery and len(self.found) > mark:
            self.recover_after_item()
        elif not single_line:
            follower = self.position
            kind = self.kinds[follower]
            if kind == NEWLINE:
                self.last = follower
                self.position = follower + 1
            elif kind == EOF:
                self.read()
            else:
                self._missing_newline(follower, name)
        start = self.starts[name]
        return NativeAttribute(self.word(name), expression, self.source, start, self.ends[name], end)

    def _missing_newline(self, follower: int, name: int) -> None:
        if not self.recovery:
            summary = "Missing newline after argument"
            detail = "An argument definition must end with a newline."
            if self.kinds[follower] == COMMA:
                summary = "Unexpected comma after argument"
                detail = f"Argument definitions must be separated by newlines, not commas. {detail}"
            self.error_at(summary, detail, follower, self.starts[name])
        self.recover_after_item()

    def _span(self, index: int) -> tuple[int, int]:
        return self.starts[index], self.ends[index]

    def _block(self, name: int) -> NativeBlock:
        labels: list[str] = []
        spans: list[tuple[int, int]] = []
        while True:
            index = self.peek()
            kind = self.kinds[index]
            if kind == OPEN_BRACE:
                self.read()
                break
            if kind == STRING:
                self.read()
                labels.append(self.text[self.starts[index] + 1 : self.ends[index] - 1])
                spans.append(self._span(index))
            elif kind == IDENT:
                self.read()
                labels.append(self.word(index))
                spans.append(self._span(index))
            elif kind == OPEN_QUOTE:
                label, span = self.quoted_label()
                labels.append(label)
                spans.append(span)
            else:
                self._bad_header(kind, index, name)
                self.recover_after_item()
                return self._headless_block(name, labels, spans)
        return self._block_with_body(name, labels, spans, index)

    def _headless_block(self, name: int, labels: list[str], spans: list[tuple[int, int]]) -> NativeBlock:
        span = self._span(name)
        body = NativeBody({}, [], self.source, *span)
        return NativeBlock(self.word(name), labels, body, self.source, span, spans, span, span)

    def _bad_header(self, kind: int, index: int, name: int) -> None:
        summary, since = "Invalid block definition", self.starts[name]
        if kind == EQUAL:
            detail = 'The equals sign "=" indicates an argument definition, and must not be used when defining a block.'
        elif kind == NEWLINE:
            detail = (
                'A block definition must have block content delimited by "{" and "}", starting on the same line as the '
                "block header."
            )
        elif self.recovery:
            return
        else:
            detail = 'Either a quoted string block label or an opening brace ("{") is expected here.'
        self.error_at(summary, detail, index, since)

    def _block_with_body(
        self, name: int, labels: list[str], spans: list[tuple[int, int]], open_: int
    ) -> NativeBlock:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.report_depth()
        if self.kinds[self.peek()] in (NEWLINE, EOF, CLOSE_BRACE):
            body = self.body(CLOSE_BRACE)
        else:
            body = self._single_line_body(name, open_)
        self.depth -= 1
        close = self.last
        follower = self.peek()
        if self.kinds[follower] in (NEWLINE, EOF):
            self.read()
        else:
            if not self.recovery:
                self.error_at(
                    "Missing newline after block definition",
                    "A block definition must end with a newline.",
                    follower,
                    self.starts[name],
                )
            self.recover_after_item()
        header = (self._span(name), spans, self._span(open_), self._span(close))
        return NativeBlock(self.word(name), labels, body, self.source, *header)

    def _single_line_body(self, name: int, open_: int) -> NativeBody:
        """`{ name = value }`. What is wrong with the closing is reported before what is wrong inside."""
        mark = len(self.found)
        attribute = self._single_attribute()
        inside = self.found[mark:]
        del self.found[mark:]
        follower = self.peek()
        if self.kinds[follower] == CLOSE_BRACE:
            self.read()
        else:
            self._bad_single_line(follower, name, open_)
            self.recover(CLOSE_BRACE)
        self.found += inside
        if attribute is None:
            return NativeBody({}, [], self.source, self.starts[open_], self.last_end())
        return NativeBody({attribute.name: attribute}, [], self.source, attribute.start, attribute.end)

    def _single_attribute(self) -> NativeAttribute | None:
        name = self.read()
        if self.kinds[name] != IDENT:
            self.recover_after_item()
            self.error_at(*_REQUIRED, name)
            return None
        follower = self.peek()
        kind = self.kinds[follower]
        if kind == EQUAL:
            return self._attribute(name, True)
        if kind in (STRING, OPEN_QUOTE, OPEN_BRACE, IDENT):
            self.recover_after_item()
            detail = (
                "A single-line block definition can contain only a single argument. If you meant to define argument "
                f'"{self.word(name)}", use an equals sign to assign it a value. To define a nested block, place it on '
                "a line of its own within its parent block."
            )
            start, end = self.starts[name], self.shown_end(follower)
            self.error("Argument definition required", detail, start, end)
            return None
        self._missing_equals(name)
        return None

    def _bad_single_line(self, follower: int, name: int, open_: int) -> None:
        kind = self.kinds[follower]
        if kind == COMMA:
            self.error_at(
                _SINGLE,
                "Single-line block syntax can include only one argument definition. To define multiple arguments, use "
                "the multi-line block syntax with one argument definition per line.",
                follower,
            )
        elif kind == NEWLINE:
            self.error_at(
                _SINGLE,
                "An argument definition on the same line as its containing block creates a single-line block "
                "definition, which must also be closed on the same line. Place the block's closing brace immediately "
                "after the argument definition.",
                follower,
            )
        elif self.recovery:
            return
        elif kind == EOF:
            self.error_at(*_UNCLOSED, open_, self.starts[name])
        else:
            self.error_at(
                _SINGLE,
                "A single-line block definition must end with a closing brace immediately after its single argument "
                "definition.",
                follower,
            )

    def quoted_label(self) -> tuple[str, tuple[int, int]]:
        """Parse a quoted string in which templates are not allowed: its text and span."""
        from bakehouse.hcl.string_literals import literal_text

        open_ = self.read()
        start = self.starts[open_]
        texts: list[str] = []
        while True:
            token = self.read()
            kind = self.kinds[token]
            begin, end = self._span(token)
            if kind == CLOSE_QUOTE:
                break
            if kind == QUOTED_LITERAL:
                texts.append(literal_text(self, begin, end, True))
            elif kind in (TEMPLATE_CONTROL, TEMPLATE_INTERPOLATION):
                mark = self.text[begin]
                detail = (
                    f'Template sequences are not allowed in this string. To include a literal "{mark}", double it (as '
                    f'"{mark}{mark}") to escape it.'
                )
                self.error_at("Invalid string literal", detail, token, start)
                texts.append(f"{mark}{{ ... }}")
                self.recover(TEMPLATE_END)
            elif kind == EOF:
                self.error_at(
                    "Unterminated string literal",
                    "Unable to find the closing quote mark before the end of the file.",
                    token,
                    start,
                )
                break
            else:
                self.error_at(
                    "Invalid string literal", "This item is not valid in a string literal.", token, start
                )
                self.recover(CLOSE_QUOTE)
                break
        return "".join(texts), (start, end)
