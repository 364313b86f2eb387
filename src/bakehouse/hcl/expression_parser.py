"""Parsing of expressions: operators, terms and traversals (hashicorp/hcl `hclsyntax/parser.go`). Constructors
and calls are in `constructor_parser`, templates in `template_parser`, bodies in `parser`. On the start-up path.

    expression  = binary [ "?" expression ":" expression ]
    binary      = operand { operator operand }                  by precedence
    operand     = ("-" | "!") operand | term { traversal }
    traversal   = "." name | "." number | ".*" { "." name } | "[*]" … | "[" expression "]"
"""

from __future__ import annotations

from bakehouse.hcl import numbers
from bakehouse.hcl.constructor_parser import ConstructorParser
from bakehouse.hcl.expressions import (
    Failed,
    Index,
    Literal,
    Node,
    Parentheses,
    RelativeTraversal,
    ScopeTraversal,
)
from bakehouse.hcl.lexer import (
    BANG,
    CLOSE_BRACKET,
    CLOSE_PAREN,
    COLON,
    DOT,
    DOUBLE_COLON,
    EOF,
    IDENT,
    MINUS,
    NUMBER,
    OPEN_BRACE,
    OPEN_BRACKET,
    OPEN_HEREDOC,
    OPEN_PAREN,
    OPEN_QUOTE,
    QUESTION,
    STAR,
    STRING,
)
from bakehouse.hcl.loops import AnonymousSymbol, Splat
from bakehouse.hcl.operations import PRECEDENCE, BinaryOperation, UnaryOperation
from bakehouse.hcl.template_parser import parse_template_term
from bakehouse.hcl.templates import QuotedString, Template
from bakehouse.hcl.token_stream import MAX_DEPTH
from bakehouse.hcl.traversal import TraverseAttribute, TraverseIndex
from bakehouse.hcl.types import NUMBER as NUMBER_TYPE
from bakehouse.hcl.values import DYNAMIC_UNKNOWN, FALSE, NULL, TRUE, Value, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Step: TypeAlias = TraverseAttribute | TraverseIndex

_SIMPLE_TERMS = frozenset((STRING, IDENT, NUMBER))
_TRAVERSAL_STARTS = frozenset((DOT, OPEN_BRACKET))
_CALL_STARTS = frozenset((OPEN_PAREN, DOUBLE_COLON))
_KEYWORDS = {"true": TRUE, "false": FALSE, "null": NULL}
_NAME_REQUIRED = ("Invalid attribute name", "An attribute name is required after a dot.")


class ExpressionParser(ConstructorParser):
    """Builds expression nodes. A method that parses gives a node in any case; what is wrong stands in `found`."""

    __slots__ = ()

    def expression(self) -> Node:
        """Parse one expression."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.report_depth()
            self.depth -= 1
            return self.placeholder(self.peek())
        mark = len(self.found)
        start = self.starts[self.peek()]
        node = self.operand()
        kinds = self.kinds
        if kinds[self.peek()] in PRECEDENCE and not (self.recovery and len(self.found) > mark):
            node = self._binary(node, 1, mark)
        if kinds[self.peek()] == QUESTION and not (self.recovery and len(self.found) > mark):
            node = self._conditional(node, start)
        self.depth -= 1
        return node

    def _binary(self, left: Node, weakest: int, mark: int) -> Node:
        """Continue behind `left` with all operators at least as strong as `weakest`."""
        kinds = self.kinds
        while not (self.recovery and len(self.found) > mark):
            operator = kinds[self.peek()]
            strength = PRECEDENCE.get(operator, 0)
            if strength < weakest:
                break
            self.read()
            right_mark = len(self.found)
            right = self.operand()
            if PRECEDENCE.get(kinds[self.peek()], 0) > strength:
                right = self._binary(right, strength + 1, right_mark)
            if self.recovery and len(self.found) > right_mark:
                break
            left = BinaryOperation(left, operator, right)
        return left

    def _conditional(self, condition: Node, start: int) -> Node:
        from bakehouse.hcl.conditionals import Conditional

        self.read()
        mark = len(self.found)
        positive = self.expression()
        if self.recovery and len(self.found) > mark:
            return condition
        colon = self.peek()
        if self.kinds[colon] != COLON:
            self.error_at(
                "Missing false expression in conditional",
                "The conditional operator (...?...:...) requires a false expression, delimited by a colon.",
                colon,
                start,
            )
            return condition
        self.read()
        mark = len(self.found)
        negative = self.expression()
        if self.recovery and len(self.found) > mark:
            return condition
        return Conditional(condition, positive, negative, self.source, start, negative.end)

    def operand(self) -> Node:
        """Parse a term with the traversals behind it."""
        index = self.peek()
        kind = self.kinds[index]
        if kind in _SIMPLE_TERMS:
            self.last = index
            self.position = index + 1
            node = self._simple_term(kind, index)
        else:
            node = self._bracketed_term(kind, index)
        kind = self.kinds[self.peek()]
        if kind in _TRAVERSAL_STARTS:
            return self.traversals(node)
        return node

    def _simple_term(self, kind: int, index: int) -> Node:
        start, end = self.starts[index], self.ends[index]
        if kind == STRING:
            return QuotedString(self.text[start + 1 : end - 1], self.source, start, end)
        if kind == NUMBER:
            return Literal(self._number(index), self.source, start, end)
        follower = self.kinds[self.peek()]
        if follower in _CALL_STARTS:
            return self.function_call(index)
        name = self.text[start:end]
        if name in _KEYWORDS:
            return Literal(_KEYWORDS[name], self.source, start, end)
        return ScopeTraversal(name, self.source, start, end)

    def _number(self, index: int) -> Value:
        number = numbers.parse(self.word(index))
        if number is None:
            self.error_at(
                "Invalid number literal", "Failed to recognize the value of this number literal.", index
            )
            return unknown(NUMBER_TYPE)
        return Value(NUMBER_TYPE, number)

    def _bracketed_term(self, kind: int, index: int) -> Node:
        if kind == OPEN_BRACKET:
            return self.tuple_constructor()
        if kind == OPEN_BRACE:
            return self.object_constructor()
        if kind in (OPEN_QUOTE, OPEN_HEREDOC):
            return parse_template_term(self)
        if kind == OPEN_PAREN:
            return self._parentheses()
        if kind in (MINUS, BANG):
            return self._unary(kind)
        if not self.recovery:
            if kind == EOF:
                self.error_at(
                    "Missing expression",
                    "Expected the start of an expression, but found the end of the file.",
                    index,
                )
            else:
                self.error_at(
                    "Invalid expression",
                    "Expected the start of an expression, but found an invalid expression token.",
                    index,
                )
        self.recovery = True
        return self.placeholder(index)

    def placeholder(self, index: int) -> Literal:
        """A node for what is no expression, at a token."""
        return Literal(DYNAMIC_UNKNOWN, self.source, self.starts[index], self.ends[index])

    def _unary(self, kind: int) -> Node:
        start = self.starts[self.read()]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.report_depth()
            operand: Node = self.placeholder(self.peek())
        else:
            # Not an expression: in `-1 + 2` the minus belongs to the 1.
            operand = self.operand()
        self.depth -= 1
        return UnaryOperation(kind, operand, self.source, start)

    def _parentheses(self) -> Node:
        start = self.starts[self.read()]
        outer, self.newlines = self.newlines, False
        mark = len(self.found)
        inner = self.expression()
        if len(self.found) > mark:
            self.recover(CLOSE_PAREN)
            self.newlines = outer
            return inner
        close = self.peek()
        if self.kinds[close] != CLOSE_PAREN:
            self.error_at(
                "Unbalanced parentheses",
                "Expected a closing parenthesis to terminate the expression.",
                close,
                start,
            )
            self.recovery = True
        close = self.read()
        self.newlines = outer
        return Parentheses(inner, self.source, start, self.ends[close])

    def traversals(self, node: Node) -> Node:
        """Parse the traversals behind `node`, if any."""
        start = node.start
        while True:
            kind = self.kinds[self.peek()]
            if kind == DOT:
                node = self._dotted(node, start)
            elif kind == OPEN_BRACKET:
                node = self._bracketed(node, start)
            else:
                return node

    def _dotted(self, node: Node, start: int) -> Node:
        dot = self.read()
        index = self.peek()
        kind = self.kinds[index]
        if kind == IDENT:
            self.read()
            begin, end = self.starts[dot], self.ends[index]
            return self._extended(node, TraverseAttribute(self.word(index), self.source, begin, end))
        if kind == NUMBER:
            return self._extended(node, self._legacy_index(dot, ""))
        if kind == STAR:
            return self._attribute_splat(node, start, dot)
        mark = len(self.found)
        self.error_at(*_NAME_REQUIRED, index)
        self.recovery = True
        return Failed(self.found[mark:], self.source, start, self.ends[dot])

    def _extended(self, node: Node, step: Step) -> Node:
        if isinstance(node, (ScopeTraversal, RelativeTraversal)):
            node.steps.append(step)
            node.end = step.end
            return node
        return RelativeTraversal(node, [step], self.source, node.start, step.end)

    def _legacy_index(self, dot: int, splat: str, blamed: int | None = None) -> TraverseIndex:
        """`.0`; `.0.1` reads as a fraction and is refused."""
        index = self.read()
        begin, end = self.starts[dot], self.ends[index]
        whole, point, fraction = self.word(index).partition(".")
        if point:
            self.error_at(
                "Invalid legacy index syntax",
                "When using the legacy index syntax, chaining two indexes together is not permitted. Use the proper "
                f"index syntax{splat} instead, like [{whole}][{fraction}].",
                index if blamed is None else blamed,
            )
            return TraverseIndex(DYNAMIC_UNKNOWN, self.source, begin, end)
        return TraverseIndex(self._number(index), self.source, begin, end)

    def _attribute_splat(self, node: Node, start: int, dot: int) -> Node:
        star = self.read()
        kinds = self.kinds
        first = self.starts[self.peek()]
        last = self.ends[star]
        steps: list[Step] = []
        while kinds[self.peek()] == DOT:
            step_dot = self.read()
            index = self.peek()
            if kinds[index] == NUMBER:
                step: Step = self._legacy_index(step_dot, " with a full splat expression [*]", star)
            elif kinds[index] == IDENT:
                self.read()
                begin = self.starts[step_dot]
                step = TraverseAttribute(self.word(index), self.source, begin, self.ends[index])
            else:
                self._bad_splat_step(index, star)
                return node
            steps.append(step)
            last = step.end
        item = AnonymousSymbol(self.source, self.starts[dot], self.ends[star])
        each: Node = RelativeTraversal(item, steps, self.source, first, last) if steps else item
        return Splat(node, each, item, start, last, (self.starts[dot], self.ends[star]))

    def _bad_splat_step(self, index: int, star: int) -> None:
        if not self.recovery:
            if self.kinds[index] == STAR:
                self.error_at(
                    "Nested splat expression not allowed",
                    "A splat expression (*) cannot be used inside another attribute-only splat expression.",
                    index,
                )
            else:
                self.error_at(*_NAME_REQUIRED, star)
        self.recovery = True

    def _bracketed(self, node: Node, start: int) -> Node:
        open_ = self.read()
        if self.kinds[self.peek()] == STAR:
            return self._full_splat(node, start, open_)
        outer, self.newlines = self.newlines, False
        mark = len(self.found)
        key = self.expression()
        if self.recovery and len(self.found) > mark:
            close = self.recover(CLOSE_BRACKET)
        else:
            close = self.read()
            if self.kinds[close] != CLOSE_BRACKET and not self.recovery:
                # The original points at the token at which it recovers, not at the one that is wrong.
                close = self.recover(CLOSE_BRACKET)
                self.error_at(
                    "Missing close bracket on index",
                    'The index operator must end with a closing bracket ("]").',
                    close,
                )
        self.newlines = outer
        begin, end = self.starts[open_], self.ends[close]
        if isinstance(key, (Literal, QuotedString)) or (
            isinstance(key, Template) and key.is_string_literal()
        ):
            return self._extended(node, TraverseIndex(key.evaluate(None)[0], self.source, begin, end))
        return Index(node, key, self.source, start, begin, end)

    def _full_splat(self, node: Node, start: int, open_: int) -> Node:
        self.read()
        close = self.read()
        if self.kinds[close] != CLOSE_BRACKET and not self.recovery:
            close = self.recover(CLOSE_BRACKET)
            self.error_at(
                "Missing close bracket on splat index",
                'The star for a full splat operator must be immediately followed by a closing bracket ("]").',
                close,
            )
        mark = (self.starts[open_], self.ends[close])
        item = AnonymousSymbol(self.source, *mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.report_depth()
        each = self.traversals(item)
        self.depth -= 1
        return Splat(node, each, item, start, each.end, mark)
