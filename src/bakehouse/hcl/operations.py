"""Unary and binary operators (hashicorp/hcl `hclsyntax/expression_ops.go`). On the start-up path."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl import lexer
from bakehouse.hcl.expressions import _NO_NAMES, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.values import Value

# Binding strength of the binary operators, weakest first; all associate to the left.
PRECEDENCE = {
    lexer.OR: 1,
    lexer.AND: 2,
    lexer.EQUAL_EQUAL: 3,
    lexer.NOT_EQUAL: 3,
    lexer.GREATER: 4,
    lexer.GREATER_EQUAL: 4,
    lexer.LESS: 4,
    lexer.LESS_EQUAL: 4,
    lexer.PLUS: 5,
    lexer.MINUS: 5,
    lexer.STAR: 6,
    lexer.SLASH: 6,
    lexer.PERCENT: 6,
}
# The library function that does the work of each operator.
FUNCTION_OF = {
    lexer.OR: "or",
    lexer.AND: "and",
    lexer.EQUAL_EQUAL: "equal",
    lexer.NOT_EQUAL: "notequal",
    lexer.GREATER: "greaterthan",
    lexer.GREATER_EQUAL: "greaterthanorequalto",
    lexer.LESS: "lessthan",
    lexer.LESS_EQUAL: "lessthanorequalto",
    lexer.PLUS: "add",
    lexer.MINUS: "subtract",
    lexer.STAR: "multiply",
    lexer.SLASH: "divide",
    lexer.PERCENT: "modulo",
}


class BinaryOperation(Node):
    """`left operator right`; `operator` is the token kind."""

    __slots__ = ("left", "operator", "right")

    def __init__(self, left: Node, operator: int, right: Node) -> None:
        self.left = left
        self.operator = operator
        self.right = right
        self.source = left.source
        self.start = left.start
        self.end = right.end

    @property
    def start_range(self) -> SourceRange:
        node: Node = self
        while isinstance(node, BinaryOperation):
            node = node.left
        return node.start_range

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        # A chain `a + b + c …` leans to the left and may be long: no recursion along it.
        chain: list[BinaryOperation] = []
        node: Node = self
        while isinstance(node, BinaryOperation):
            chain.append(node)
            node = node.left
        value, found = node.evaluate(context)
        for operation in reversed(chain):
            value, found = operation._apply(value, found, context)
        return value, found

    def _apply(
        self, left: Value, left_findings: list[Diagnostic], context: EvalContext | None
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.function import FunctionError
        from bakehouse.hcl.functions import operator_function
        from bakehouse.hcl.types import BOOL, NUMBER
        from bakehouse.hcl.values import unknown

        function = operator_function(FUNCTION_OF[self.operator])
        result_type = NUMBER if self.operator in _ARITHMETIC else BOOL
        found: list[Diagnostic] = []
        left = self._operand(left, "left", self.left, function.params[0].type, found)
        right, right_findings = self.right.evaluate(context)
        right = self._operand(right, "right", self.right, function.params[1].type, found)
        if found:
            return unknown(result_type), found + left_findings + right_findings
        if self.operator in (lexer.AND, lexer.OR):
            settled = _short_circuit(self.operator is lexer.OR, left, right, left_findings, right_findings)
            if settled is not None:
                return settled
        found = left_findings + right_findings
        if found:
            return unknown(result_type), found
        try:
            return function.call([left, right]), []
        except FunctionError as error:
            return unknown(result_type), [_operation_failed(error.message, self)]

    def _operand(
        self, value: Value, side: str, expression: Node, want: object, found: list[Diagnostic]
    ) -> Value:
        from bakehouse.hcl.convert import ConversionError, convert

        try:
            return convert(value, want)  # type: ignore[arg-type]
        except ConversionError as error:
            found.append(
                Diagnostic(
                    "Invalid operand",
                    f"Unsuitable value for {side} operand: {error.message}.",
                    subject=expression.range,
                    context=self.range,
                )
            )
            return value

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.left, _NO_NAMES
        yield self.right, _NO_NAMES


_ARITHMETIC = frozenset(
    (lexer.PLUS, lexer.MINUS, lexer.STAR, lexer.SLASH, lexer.PERCENT),
)


def _operation_failed(message: str, node: Node) -> Diagnostic:
    return Diagnostic("Operation failed", f"Error during operation: {message}.", subject=node.range)


def _short_circuit(
    either: bool,
    left: Value,
    right: Value,
    left_findings: list[Diagnostic],
    right_findings: list[Diagnostic],
) -> tuple[Value, list[Diagnostic]] | None:
    """The result where one operand decides (`true` for `||`, `false` for `&&`), with the findings of that side only.
    None when the operator itself must be applied. A null counts as false, as in the original."""
    from bakehouse.hcl.types import BOOL
    from bakehouse.hcl.values import FALSE, TRUE, UNKNOWN, unknown

    left_known, right_known = left.raw is not UNKNOWN, right.raw is not UNKNOWN
    if not left_known and not right_known:
        return None if left_findings else (unknown(BOOL), [])
    for value, known, findings in (
        (left, left_known, left_findings),
        (right, right_known, right_findings),
    ):
        if known and (value.raw is True) is either:
            return (TRUE if either else FALSE), findings
    if not left_known:
        return unknown(BOOL), left_findings
    if not right_known:
        return unknown(BOOL), right_findings
    return None


class UnaryOperation(Node):
    """`-operand` or `!operand`."""

    __slots__ = ("operand", "operator")

    def __init__(self, operator: int, operand: Node, source: Source, start: int) -> None:
        self.operator = operator
        self.operand = operand
        self.source = source
        self.start = start
        self.end = operand.end

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.start, self.start + 1)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.function import FunctionError
        from bakehouse.hcl.functions import operator_function
        from bakehouse.hcl.types import BOOL, NUMBER
        from bakehouse.hcl.values import unknown

        negate = self.operator is lexer.MINUS
        kind = NUMBER if negate else BOOL
        value, found = self.operand.evaluate(context)
        try:
            value = convert(value, kind)
        except ConversionError as error:
            found.append(
                Diagnostic(
                    "Invalid operand",
                    f"Unsuitable value for unary operand: {error.message}.",
                    subject=self.operand.range,
                    context=self.range,
                )
            )
        if found:
            return unknown(kind), found
        try:
            return operator_function("negate" if negate else "not").call([value]), []
        except FunctionError as error:
            return unknown(kind), [_operation_failed(error.message, self)]

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.operand, _NO_NAMES
