"""Expression nodes of the native syntax: literals, references, parentheses, indexes, list and object constructors.

Operators are in `operations`, calls in `calls`, loops and splats in `loops`, conditionals in `conditionals`,
templates in
`templates`. Follows hashicorp/hcl `hclsyntax/expression.go`. On the start-up path; evaluation loads what it needs.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.syntax import Expression
from bakehouse.hcl.traversal import Spanned, Traversal, TraverseRoot, apply_steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.traversal import TraverseAttribute, TraverseIndex
    from bakehouse.hcl.values import Value

_NO_NAMES: frozenset[str] = frozenset()


class Node(Spanned, Expression):
    """Base of all native expressions: source.text[start:end]."""

    __slots__ = ()

    @property
    def start_range(self) -> SourceRange:
        return self.range

    def variables(self) -> list[Traversal]:
        return free_traversals(self)

    def functions(self) -> list[str]:
        return called_functions(self)


def free_traversals(expression: Expression) -> list[Traversal]:
    """The absolute traversals under `expression` whose root no `for` within it binds, in source order."""
    found: list[Traversal] = []
    stack: list[tuple[Expression, frozenset[str]]] = [(expression, _NO_NAMES)]
    while stack:
        node, bound = stack.pop()
        if isinstance(node, ScopeTraversal):
            if node.root.name not in bound:
                found.append(Traversal(node.root, node.steps))
        elif not isinstance(node, Literal):
            stack += [(child, bound | names) for child, names in reversed(list(node.children()))]
    return found


def called_functions(expression: Expression) -> list[str]:
    """The names of all functions called under `expression`, in source order."""
    from bakehouse.hcl.calls import FunctionCall

    found: list[str] = []
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, FunctionCall):
            found.append(node.name)
        stack += [child for child, _ in reversed(list(node.children()))]
    return found


class Literal(Node):
    """A constant: a number, `true`, `false`, `null`, a piece of a template, or the placeholder of a syntax error."""

    __slots__ = ("value",)

    def __init__(self, value: Value, source: Source, start: int, end: int) -> None:
        self.value = value
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        return self.value, []

    def as_traversal(self) -> Traversal | None:
        # Traversals know no keywords: what was written as one is a name again.
        raw = self.value.raw
        name = "null" if raw is None else "true" if raw is True else "false" if raw is False else ""
        if not name:
            return None
        return Traversal(TraverseRoot(name, self.source, self.start, self.end), [])


class Failed(Node):
    """The placeholder of an expression whose syntax is wrong; evaluating it repeats the findings."""

    __slots__ = ("findings",)

    def __init__(self, findings: list[Diagnostic], source: Source, start: int, end: int) -> None:
        self.findings = findings
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        return DYNAMIC_UNKNOWN, list(self.findings)


class Parentheses(Node):
    """`( inner )`"""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression, source: Source, start: int, end: int) -> None:
        self.inner = inner
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.inner.start_range

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        return self.inner.evaluate(context)

    def core(self) -> Expression:
        return self.inner.core()

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.inner, _NO_NAMES


class ScopeTraversal(Node):
    """A reference: a variable and the constant steps from it."""

    __slots__ = ("root", "steps")

    def __init__(self, name: str, source: Source, start: int, end: int) -> None:
        self.root = TraverseRoot(name, source, start, end)
        self.steps: list[TraverseAttribute | TraverseIndex] = []
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        name = self.root.name
        scope, allowed = context, False
        while scope is not None:
            variables = scope.variables
            if variables is not None:
                allowed = True
                if name in variables:
                    return apply_steps(variables[name], self.steps)
            scope = scope.parent
        return self._missing(context, allowed)

    def _missing(self, context: EvalContext | None, allowed: bool) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.go.text import quote
        from bakehouse.hcl.evaluation import suggestion
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        where = self.root.range
        if not allowed:
            return DYNAMIC_UNKNOWN, [
                Diagnostic("Variables not allowed", "Variables may not be used here.", subject=where)
            ]
        names: list[str] = []
        while context is not None:
            names += sorted(context.variables or ())
            context = context.parent
        close = suggestion(self.root.name, names)
        detail = f"There is no variable named {quote(self.root.name)}."
        if close:
            detail += f" Did you mean {quote(close)}?"
        return DYNAMIC_UNKNOWN, [Diagnostic("Unknown variable", detail, subject=where)]

    def as_traversal(self) -> Traversal | None:
        return Traversal(self.root, self.steps)


class RelativeTraversal(Node):
    """Constant steps from the value of any expression."""

    __slots__ = ("origin", "steps")

    def __init__(
        self,
        origin: Expression,
        steps: list[TraverseAttribute | TraverseIndex],
        source: Source,
        start: int,
        end: int,
    ) -> None:
        self.origin = origin
        self.steps = steps
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        value, found = self.origin.evaluate(context)
        value, more = apply_steps(value, self.steps)
        return value, found + more

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.origin, _NO_NAMES

    def as_traversal(self) -> Traversal | None:
        base = self.origin.as_traversal()
        return None if base is None else Traversal(base.root, base.steps + self.steps)


class Index(Node):
    """`collection[key]` with a key that must be computed; text[open:end] is the bracket."""

    __slots__ = ("collection", "key", "open")

    def __init__(
        self, collection: Expression, key: Expression, source: Source, start: int, open_: int, end: int
    ) -> None:
        self.collection = collection
        self.key = key
        self.source = source
        self.start = start
        self.open = open_
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.open, self.open + 1)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.traversal import index

        collection, found = self.collection.evaluate(context)
        key, more = self.key.evaluate(context)
        value, last = index(collection, key, Spanned(self.source, self.open, self.end))
        return value, found + more + last

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.collection, _NO_NAMES
        yield self.key, _NO_NAMES


class TupleConstructor(Node):
    """`[a, b]`"""

    __slots__ = ("elements",)

    def __init__(self, elements: list[Expression], source: Source, start: int, end: int) -> None:
        self.elements = elements
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.start, self.start + 1)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import tuple_

        values: list[Value] = []
        found: list[Diagnostic] = []
        for element in self.elements:
            value, more = element.evaluate(context)
            values.append(value)
            if more:
                found += more
        return tuple_(values), found

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        for element in self.elements:
            yield element, _NO_NAMES

    def as_list(self) -> list[Expression] | None:
        return self.elements


class ObjectKey(Node):
    """The key of an object item: a bare name stands for itself unless it is `forced` to be an expression by
    parentheses."""

    __slots__ = ("forced", "inner")

    def __init__(self, inner: Node, forced: bool) -> None:
        self.inner = inner
        self.forced = forced
        self.source = inner.source
        self.start = inner.start
        self.end = inner.end

    @property
    def start_range(self) -> SourceRange:
        return self.inner.start_range

    def literal_name(self) -> str:
        """The name that a bare key stands for, `""` if the key is an expression."""
        traversal = self.inner.as_traversal()
        return traversal.root.name if traversal is not None and not traversal.steps else ""

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, string

        if not self.forced:
            if isinstance(self.inner, ScopeTraversal) and self.inner.steps:
                return DYNAMIC_UNKNOWN, [
                    Diagnostic(
                        "Ambiguous attribute key",
                        "If this expression is intended to be a reference, wrap it in parentheses. If it's instead "
                        "intended as a literal name containing periods, wrap it in quotes to create a string literal.",
                        subject=self.range,
                    )
                ]
            name = self.literal_name()
            if name:
                return string(name), []
        return self.inner.evaluate(context)

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        if not self.literal_name():
            yield self.inner, _NO_NAMES

    def as_traversal(self) -> Traversal | None:
        return None if self.forced else self.inner.as_traversal()


class ObjectConstructor(Node):
    """`{ key = value, … }`"""

    __slots__ = ("items",)

    def __init__(
        self, items: list[tuple[ObjectKey, Expression]], source: Source, start: int, end: int
    ) -> None:
        self.items = items
        self.source = source
        self.start = start
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.start, self.start + 1)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, object_

        values: dict[str, Value] = {}
        found: list[Diagnostic] = []
        known = True
        for key_expression, value_expression in self.items:
            key, key_findings = key_expression.evaluate(context)
            value, value_findings = value_expression.evaluate(context)
            found += key_findings
            found += value_findings
            name = None if key_findings else self._key_text(key, key_expression, value_expression, found)
            if name is None:
                known = False
            else:
                values[name] = value
        return (object_(values) if known else DYNAMIC_UNKNOWN), found

    @staticmethod
    def _key_text(
        key: Value, key_expression: Expression, value_expression: Expression, found: list[Diagnostic]
    ) -> str | None:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import STRING
        from bakehouse.hcl.values import UNKNOWN

        if key.raw is None:
            found.append(
                Diagnostic(
                    "Null value as key", "Can't use a null value as a key.", subject=value_expression.range
                )
            )
            return None
        try:
            text = convert(key, STRING).raw
        except ConversionError as error:
            detail = f"Can't use this value as a key: {error.message}."
            found.append(Diagnostic("Incorrect key type", detail, subject=key_expression.range))
            return None
        return None if text is UNKNOWN else text

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        for key, value in self.items:
            yield key, _NO_NAMES
            yield value, _NO_NAMES

    def as_map(self) -> list[tuple[Expression, Expression]] | None:
        return [(key, value) for key, value in self.items]
