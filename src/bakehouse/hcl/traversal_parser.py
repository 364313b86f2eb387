"""Parsing of a text that is a traversal and nothing else, as JSON bodies have it (hashicorp/hcl
`parser_traversal.go`)."""

from __future__ import annotations

from bakehouse.hcl import numbers
from bakehouse.hcl.lexer import (
    CLOSE_BRACKET,
    DOT,
    EOF,
    IDENT,
    NUMBER,
    OPEN_BRACKET,
    OPEN_QUOTE,
    STAR,
    STRING,
    Tokens,
)
from bakehouse.hcl.parser import BodyParser
from bakehouse.hcl.traversal import Traversal, TraverseAttribute, TraverseIndex, TraverseRoot
from bakehouse.hcl.types import NUMBER as NUMBER_TYPE
from bakehouse.hcl.values import Value, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.diagnostics import Diagnostic


class TraversalParser(BodyParser):
    """Parses an absolute traversal; there is no recovery, the first mistake ends it."""

    __slots__ = ()

    def __init__(self, tokens: Tokens, found: list[Diagnostic]) -> None:
        super().__init__(tokens, found)
        self.newlines = False

    def traversal(self) -> Traversal | None:
        """The traversal, or None after a mistake."""
        root = self.read()
        if self.kinds[root] != IDENT:
            self.error_at("Variable name required", "Must begin with a variable name.", root)
            return None
        start = self.starts[root]
        result = Traversal(TraverseRoot(self.word(root), self.source, start, self.ends[root]), [])
        while self.kinds[self.peek()] != EOF:
            token = self.read()
            if self.kinds[token] == DOT:
                step: TraverseAttribute | TraverseIndex | None = self._attribute_step(token, start)
            elif self.kinds[token] == OPEN_BRACKET:
                step = self._index_step(token, start)
            else:
                self.error_at(
                    "Invalid character", "Expected an attribute access or an index operator.", token, start
                )
                step = None
            if step is None:
                return None
            result.steps.append(step)
        return None if self.found else result

    def _attribute_step(self, dot: int, start: int) -> TraverseAttribute | None:
        name = self.read()
        if self.kinds[name] == IDENT:
            return TraverseAttribute(self.word(name), self.source, self.starts[dot], self.ends[name])
        star = self.kinds[name] == STAR
        detail = (
            "Splat expressions (.*) may not be used here."
            if star
            else "Dot must be followed by attribute name."
        )
        self.error_at("Attribute name required", detail, name, start)
        return None

    def _index_step(self, open_: int, start: int) -> TraverseIndex | None:
        token = self.peek()
        kind = self.kinds[token]
        if kind == NUMBER:
            self.read()
            number = numbers.parse(self.word(token))
            if number is None:
                detail = "Failed to recognize the value of this number literal."
                self.error_at("Invalid number literal", detail, token)
                return None
            key = Value(NUMBER_TYPE, number)
        elif kind == STRING:
            self.read()
            key = string(self.text[self.starts[token] + 1 : self.ends[token] - 1])
        elif kind == OPEN_QUOTE:
            key = string(self.quoted_label()[0])
        else:
            summary = "Attribute name required" if kind == STAR else "Index value required"
            detail = (
                "Splat expressions ([*]) may not be used here."
                if kind == STAR
                else "Index brackets must contain either a literal number or a literal string."
            )
            self.error_at(summary, detail, token, start)
            return None
        close = self.read()
        if self.kinds[close] != CLOSE_BRACKET:
            detail = "Index key must be followed by a closing bracket."
            self.error_at("Unclosed index brackets", detail, close, self.starts[open_])
            return None
        return TraverseIndex(key, self.source, self.starts[open_], self.ends[close])
