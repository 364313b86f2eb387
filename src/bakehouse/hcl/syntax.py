"""The tree that both syntaxes produce: bodies, blocks, attributes, and the interface of expressions.

A consumer asks a body for what its schema describes (`content`) and evaluates expressions. The node classes of the
native syntax live in `expressions`, `operations` and `templates`; those of JSON in `json_syntax`. Follows
hashicorp/hcl's `Body`, `Expression` and `BodySchema`. On the start-up path.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, Position, SourceRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.traversal import Traversal
    from bakehouse.hcl.values import Value


def range_between(start: SourceRange, end: SourceRange) -> SourceRange:
    """The range from the start of the first to the end of the second, in the file of the first."""
    return SourceRange(start.filename, start.start, end.end)


class StaticCall:
    """A function call seen as syntax: `arguments` are not evaluated."""

    __slots__ = ("arguments", "arguments_range", "name", "name_range")

    def __init__(
        self, name: str, name_range: SourceRange, arguments: list[Expression], arguments_range: SourceRange
    ) -> None:
        self.name = name
        self.name_range = name_range
        self.arguments = arguments
        self.arguments_range = arguments_range


class Expression:
    """An expression of either syntax. Evaluating never raises for what the user wrote: findings are returned, and the
    value is then unknown (of the type that can be told)."""

    __slots__ = ()

    @property
    def range(self) -> SourceRange:
        """The whole expression."""
        raise NotImplementedError

    @property
    def start_range(self) -> SourceRange:
        """A short range at which a finding about the expression points when the whole would be too much."""
        return self.range

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        """The value in `context` and the findings; None allows neither variables nor functions (and, in JSON
        syntax, takes strings as they are)."""
        raise NotImplementedError

    def variables(self) -> list[Traversal]:
        """The absolute traversals that the expression needs from its context, in order of occurrence; names that a
        `for` inside binds are not among them."""
        raise NotImplementedError

    def functions(self) -> list[str]:
        """The names of the functions that the expression calls, in order, with repetitions."""
        raise NotImplementedError

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        """The direct sub-expressions, each with the names that this node binds for it."""
        return iter(())

    def as_traversal(self) -> Traversal | None:
        """The expression as an absolute traversal, if it is written as one."""
        return None

    def as_list(self) -> list[Expression] | None:
        """The element expressions, if this is a list constructor."""
        return None

    def as_map(self) -> list[tuple[Expression, Expression]] | None:
        """The key and value expressions, if this is an object constructor."""
        return None

    def as_call(self) -> StaticCall | None:
        """The call, if this is one."""
        return None

    def core(self) -> Expression:
        """The expression without what merely wraps it: parentheses, a template that is one interpolation, in JSON the
        string that a template stands in."""
        return self


class Attribute:
    """`name = expression` in a body. `range` is the whole definition."""

    __slots__ = ("expr", "name", "name_range", "range")

    def __init__(self, name: str, expr: Expression, range_: SourceRange, name_range: SourceRange) -> None:
        self.name = name
        self.expr = expr
        self.range = range_
        self.name_range = name_range


class Block:
    """`type "label" … { body }`. `def_range` is the header without the brace (in JSON: the opening brace)."""

    __slots__ = (
        "body",
        "close_brace_range",
        "def_range",
        "label_ranges",
        "labels",
        "open_brace_range",
        "type",
        "type_range",
    )

    def __init__(
        self,
        type_: str,
        labels: list[str],
        body: Body,
        *,
        type_range: SourceRange,
        label_ranges: list[SourceRange],
        def_range: SourceRange,
        open_brace_range: SourceRange,
        close_brace_range: SourceRange,
    ) -> None:
        self.type = type_
        self.labels = labels
        self.body = body
        self.type_range = type_range
        self.label_ranges = label_ranges
        self.def_range = def_range
        self.open_brace_range = open_brace_range
        self.close_brace_range = close_brace_range

    @property
    def range(self) -> SourceRange:
        """The whole block, closing brace included."""
        return range_between(self.type_range, self.close_brace_range)


class AttributeSchema:
    """An attribute that a body may have; a `required` one must be there."""

    __slots__ = ("name", "required")

    def __init__(self, name: str, required: bool = False) -> None:
        self.name = name
        self.required = required


class BlockSchema:
    """A block type that a body may have, with the names of its labels (used in findings)."""

    __slots__ = ("label_names", "type")

    def __init__(self, type_: str, label_names: tuple[str, ...] = ()) -> None:
        self.type = type_
        self.label_names = label_names


class BodySchema:
    """What a consumer wants from a body."""

    __slots__ = ("attributes", "blocks")

    def __init__(
        self,
        attributes: tuple[AttributeSchema, ...] | list[AttributeSchema] = (),
        blocks: tuple[BlockSchema, ...] | list[BlockSchema] = (),
    ) -> None:
        self.attributes = tuple(attributes)
        self.blocks = tuple(blocks)


class BodyContent:
    """What a body has of a schema: attributes by name, blocks in source order, and in `remain` a body with the rest."""

    __slots__ = ("attributes", "blocks", "missing_item_range", "remain")

    def __init__(
        self,
        attributes: dict[str, Attribute],
        blocks: list[Block],
        missing_item_range: SourceRange,
        remain: Body,
    ) -> None:
        self.attributes = attributes
        self.blocks = blocks
        self.missing_item_range = missing_item_range
        self.remain = remain


class Body:
    """A body of either syntax. `attributes` and `blocks` show the native reading of it; in JSON, where only a
    schema can tell a block from an attribute, every property counts as an attribute and `blocks` is empty."""

    __slots__ = ()

    @property
    def attributes(self) -> dict[str, Attribute]:
        raise NotImplementedError

    @property
    def blocks(self) -> list[Block]:
        raise NotImplementedError

    @property
    def missing_item_range(self) -> SourceRange:
        """Where a finding about something missing points."""
        raise NotImplementedError

    def content(self, schema: BodySchema, partial: bool = False) -> tuple[BodyContent, list[Diagnostic]]:
        """The parts that `schema` names. With `partial`, anything else stays in `BodyContent.remain`; without, it is a
        finding."""
        raise NotImplementedError

    def just_attributes(self) -> tuple[dict[str, Attribute], list[Diagnostic]]:
        """Everything in the body as attributes; a block is a finding."""
        raise NotImplementedError


__all__ = [
    "Attribute",
    "AttributeSchema",
    "Block",
    "BlockSchema",
    "Body",
    "BodyContent",
    "BodySchema",
    "Diagnostic",
    "Expression",
    "Position",
    "SourceRange",
    "StaticCall",
    "range_between",
]
