"""The conditional operator (hashicorp/hcl `ConditionalExpr`). On the start-up path."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.expressions import _NO_NAMES, Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.types import Type
    from bakehouse.hcl.values import Value


class Conditional(Node):
    """`condition ? positive : negative`, also made by `%{ if }` in templates. Both results are evaluated and brought to
    one type; the findings of the one that is not chosen are dropped."""

    __slots__ = ("condition", "negative", "positive")

    def __init__(
        self, condition: Node, positive: Node, negative: Node, source: Source, start: int, end: int
    ) -> None:
        self.condition = condition
        self.positive = positive
        self.negative = negative
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.condition.start_range

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.condition, _NO_NAMES
        yield self.positive, _NO_NAMES
        yield self.negative, _NO_NAMES

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import BOOL
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, null, unknown

        positive, positive_findings = self.positive.evaluate(context)
        negative, negative_findings = self.negative.evaluate(context)
        result_type = _result_type(positive, negative)
        if result_type is None:
            return DYNAMIC_UNKNOWN, [self._inconsistent(positive.type, negative.type)]
        decision, found = self.condition.evaluate(context)
        if decision.raw is None:
            detail = "The condition value is null. Conditions must either be true or false."
            return unknown(result_type), [*found, self._bad_condition("Null condition", detail)]
        if decision.raw is UNKNOWN:
            if positive.raw is None and negative.raw is None:
                return null(result_type), found
            return unknown(result_type), found
        try:
            decision = convert(decision, BOOL)
        except ConversionError:
            detail = "The condition expression must be of type bool."
            return unknown(result_type), [*found, self._bad_condition("Incorrect condition type", detail)]
        if decision.raw is True:
            return self._chosen(positive, result_type, found + positive_findings, True)
        return self._chosen(negative, result_type, found + negative_findings, False)

    def _bad_condition(self, summary: str, detail: str) -> Diagnostic:
        return Diagnostic(summary, detail, subject=self.condition.range, context=self.range)

    def _inconsistent(self, positive: Type, negative: Type) -> Diagnostic:
        return Diagnostic(
            "Inconsistent conditional result types",
            "The true and false result expressions must have consistent types. "
            f"{describe_mismatch(positive, negative)}.",
            subject=self.source.range(self.positive.start, self.negative.end),
            context=self.range,
        )

    def _chosen(
        self, value: Value, result_type: Type, found: list[Diagnostic], positive: bool
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import DYNAMIC
        from bakehouse.hcl.values import unknown

        if result_type is DYNAMIC or value.type == result_type:
            return value, found
        try:
            return convert(value, result_type), found
        except ConversionError as error:
            side = "true" if positive else "false"
            finding = Diagnostic(
                "Inconsistent conditional result types",
                f"The {side} result value has the wrong type: {error.message}.",
                subject=(self.positive if positive else self.negative).range,
                context=self.range,
            )
            return unknown(result_type), [*found, finding]


def _result_type(positive: Value, negative: Value) -> Type | None:
    """The type that both results convert to, None if there is none. A bare `null` takes the type of the other."""
    from bakehouse.hcl.convert import unify
    from bakehouse.hcl.types import DYNAMIC

    if positive.type is DYNAMIC and positive.raw is None:
        return negative.type
    if negative.type is DYNAMIC and negative.raw is None:
        return positive.type
    if positive.type is DYNAMIC or negative.type is DYNAMIC:
        return DYNAMIC
    if positive.type == negative.type:
        return positive.type
    return unify((positive.type, negative.type), True)


def describe_mismatch(positive: Type, negative: Type) -> str:
    """What differs between two types that cannot be unified, as a sentence without a period."""
    from bakehouse.hcl.types import CollectionType, ObjectType, TupleType

    if isinstance(positive, ObjectType) and isinstance(negative, ObjectType):
        detail = _describe_objects(positive, negative)
        if detail:
            return detail
    elif isinstance(positive, TupleType) and isinstance(negative, TupleType):
        detail = _describe_tuples(positive, negative)
        if detail:
            return detail
    elif isinstance(positive, CollectionType) and isinstance(negative, CollectionType):
        mine, other = positive.element, negative.element
        if positive.kind == negative.kind and mine.kind == other.kind and mine.kind in ("object", "tuple"):
            return f"Mismatched {positive.kind} element types: {describe_mismatch(mine, other)}"
    if positive.friendly_name() == negative.friendly_name():
        return (
            "At least one deeply-nested attribute or element is not compatible across both the 'true' and the 'false' "
            "value"
        )
    return (
        f"The 'true' value is {positive.friendly_name()}, but the 'false' value is {negative.friendly_name()}"
    )


def _describe_objects(positive: object, negative: object) -> str:
    from bakehouse.go.text import quote
    from bakehouse.hcl.types import ObjectType

    assert isinstance(positive, ObjectType) and isinstance(negative, ObjectType)
    for name, mine in positive.attributes.items():
        other = negative.attributes.get(name)
        if other is None:
            return f"The 'true' value includes object attribute {quote(name)}, which is absent in the 'false' value"
        if mine != other:
            return f"Type mismatch for object attribute {quote(name)}: {describe_mismatch(mine, other)}"
    for name in negative.attributes:
        if name not in positive.attributes:
            return f"The 'false' value includes object attribute {quote(name)}, which is absent in the 'true' value"
    return ""


def _describe_tuples(positive: object, negative: object) -> str:
    from bakehouse.hcl.types import TupleType

    assert isinstance(positive, TupleType) and isinstance(negative, TupleType)
    counts = len(positive.elements), len(negative.elements)
    if counts[0] != counts[1]:
        return f"The 'true' tuple has length {counts[0]}, but the 'false' tuple has length {counts[1]}"
    for index, (mine, other) in enumerate(zip(positive.elements, negative.elements, strict=True)):
        if mine != other:
            return f"Type mismatch for tuple element {index}: {describe_mismatch(mine, other)}"
    return ""
