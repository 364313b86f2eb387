"""`for` expressions and splats (hashicorp/hcl `ForExpr`, `SplatExpr`). On the start-up path."""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange
from bakehouse.hcl.expressions import _NO_NAMES, Node
from bakehouse.hcl.limits import spend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bakehouse.hcl.evaluation import EvalContext
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.syntax import Expression
    from bakehouse.hcl.types import Type
    from bakehouse.hcl.values import Value


class For(Node):
    """`[for k, v in collection : value if condition]`, or with `{ key => value… }` an object. `key_name` may be `""`;
    text[start:open_end] is the opening bracket (in a template the whole `%{ for }`)."""

    __slots__ = (
        "collection",
        "condition",
        "group",
        "key",
        "key_name",
        "open_end",
        "value",
        "value_name",
    )

    def __init__(
        self,
        names: tuple[str, str],
        collection: Node,
        key: Node | None,
        value: Node,
        condition: Node | None,
        group: bool,
        source: Source,
        start: int,
        open_end: int,
        end: int,
    ) -> None:
        self.key_name, self.value_name = names
        self.collection = collection
        self.key = key
        self.value = value
        self.condition = condition
        self.group = group
        self.source = source
        self.start = start
        self.open_end = open_end
        self.end = end

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.start, self.open_end)

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.collection, _NO_NAMES
        names = frozenset(name for name in (self.key_name, self.value_name) if name)
        for part in (self.key, self.value, self.condition):
            if part is not None:
                yield part, names

    def _finding(self, summary: str, detail: str, node: Node | None) -> Diagnostic:
        assert node is not None
        return Diagnostic(summary, detail, subject=node.range, context=self.range)

    def item_scope(self, context: EvalContext | None, key: Value, value: Value) -> EvalContext:
        from bakehouse.hcl.evaluation import EvalContext

        names = {self.key_name: key} if self.key_name else {}
        names[self.value_name] = value
        return EvalContext(names, None, context)

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN

        collection, found = self.collection.evaluate(context)
        if collection.raw is None:
            detail = "A null value cannot be used as the collection in a 'for' expression."
            found.append(self._finding("Iteration over null value", detail, self.collection))
            return DYNAMIC_UNKNOWN, found
        if collection.type.kind == "dynamic":
            return DYNAMIC_UNKNOWN, found
        if not collection.can_iterate():
            detail = (
                f"A value of type {collection.type.friendly_name()} cannot be used as the collection in a 'for' "
                "expression."
            )
            found.append(self._finding("Iteration over non-iterable value", detail, self.collection))
            return DYNAMIC_UNKNOWN, found
        if not self._condition_can_work(context, found) or collection.raw is UNKNOWN:
            return DYNAMIC_UNKNOWN, found
        spend(len(collection.raw))
        if self.key is None:
            return self._tuple(collection, context, found)
        return self._object(collection, context, found)

    def _condition_can_work(self, context: EvalContext | None, found: list[Diagnostic]) -> bool:
        """One evaluation of the condition with unknown items: a mistake in it is then reported once."""
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import BOOL
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        if self.condition is None:
            return True
        result, more = self.condition.evaluate(self.item_scope(context, DYNAMIC_UNKNOWN, DYNAMIC_UNKNOWN))
        found += more
        if result.raw is None:
            detail = "The value of the 'if' clause must not be null."
            found.append(self._finding("Condition is null", detail, self.condition))
            return False
        try:
            convert(result, BOOL)
        except ConversionError as error:
            detail = f"The 'if' clause value is invalid: {error.message}."
            found.append(self._finding("Invalid 'for' condition", detail, self.condition))
            return False
        return not more

    def _included(self, scope: EvalContext, known: bool, found: list[Diagnostic]) -> bool | None:
        """Whether the condition keeps the item; None when that cannot be told."""
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import BOOL
        from bakehouse.hcl.values import UNKNOWN

        if self.condition is None:
            return True
        result, more = self.condition.evaluate(scope)
        found += more
        detail = ""
        if result.raw is None:
            detail = "The value of the 'if' clause must not be null."
        else:
            try:
                result = convert(result, BOOL)
            except ConversionError as error:
                detail = f"The 'if' clause value is invalid: {error.message}."
        if detail:
            if known:
                found.append(self._finding("Invalid 'for' condition", detail, self.condition))
            return None
        return None if result.raw is UNKNOWN else bool(result.raw)

    def _tuple(
        self, collection: Value, context: EvalContext | None, found: list[Diagnostic]
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, tuple_

        values: list[Value] = []
        known = True
        for item_key, item in collection.items():
            scope = self.item_scope(context, item_key, item)
            included = self._included(scope, known, found)
            if included is None:
                known = False
            elif included:
                value, more = self.value.evaluate(scope)
                values.append(value)
                found += more
        return (tuple_(values) if known else DYNAMIC_UNKNOWN), found

    def _object(
        self, collection: Value, context: EvalContext | None, found: list[Diagnostic]
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, object_, tuple_

        groups: dict[str, list[Value]] = {}
        known = True
        for item_key, item in collection.items():
            scope = self.item_scope(context, item_key, item)
            included = self._included(scope, known, found)
            name = self._key_text(scope, known, found) if included else None
            if included is None or (included and name is None):
                known = False
            if name is None:
                continue
            value, more = self.value.evaluate(scope)
            found += more
            if name in groups and not self.group:
                found.append(self._duplicate(name))
            else:
                groups.setdefault(name, []).append(value)
        if not known:
            return DYNAMIC_UNKNOWN, found
        if self.group:
            return object_({name: tuple_(values) for name, values in groups.items()}), found
        return object_({name: values[0] for name, values in groups.items()}), found

    def _key_text(self, scope: EvalContext, known: bool, found: list[Diagnostic]) -> str | None:
        from bakehouse.hcl.convert import ConversionError, convert
        from bakehouse.hcl.types import STRING
        from bakehouse.hcl.values import UNKNOWN

        assert self.key is not None
        key, more = self.key.evaluate(scope)
        found += more
        detail = ""
        if key.raw is None:
            detail = "Key expression in 'for' expression must not produce a null value."
        elif key.raw is not UNKNOWN:
            try:
                return str(convert(key, STRING).raw)
            except ConversionError as error:
                detail = f"The key expression produced an invalid result: {error.message}."
        if detail and known:
            found.append(self._finding("Invalid object key", detail, self.key))
        return None

    def _duplicate(self, name: str) -> Diagnostic:
        from bakehouse.go.text import quote

        return self._finding(
            "Duplicate object key",
            f"Two different items produced the key {quote(name)} in this 'for' expression. If duplicates are "
            "expected, use the ellipsis (...) after the value expression to enable grouping by key.",
            self.key,
        )


class AnonymousSymbol(Node):
    """The item at hand in a splat; the splat sets `value` while it evaluates."""

    __slots__ = ("value",)

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.value: Value | None = None
        self.source = source
        self.start = start
        self.end = end

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        return (DYNAMIC_UNKNOWN if self.value is None else self.value), []


class Splat(Node):
    """`origin[*].each` or `origin.*.each`: `each` is evaluated with `item` standing for every element. A value
    that is no sequence counts as a sequence of one, null as an empty one. text[mark:mark_end] is the star."""

    __slots__ = ("each", "item", "mark", "mark_end", "origin")

    def __init__(
        self, origin: Node, each: Node, item: AnonymousSymbol, start: int, end: int, mark: tuple[int, int]
    ) -> None:
        self.origin = origin
        self.each = each
        self.item = item
        self.source = origin.source
        self.start = start
        self.end = end
        self.mark, self.mark_end = mark

    @property
    def start_range(self) -> SourceRange:
        return self.source.range(self.mark, self.mark_end)

    def children(self) -> Iterator[tuple[Expression, frozenset[str]]]:
        yield self.origin, _NO_NAMES
        yield self.each, _NO_NAMES

    def _each(self, item: Value, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        saved, self.item.value = self.item.value, item
        try:
            return self.each.evaluate(context)
        finally:
            self.item.value = saved

    def evaluate(self, context: EvalContext | None) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, tuple_, unknown

        origin, found = self.origin.evaluate(context)
        if found:
            return DYNAMIC_UNKNOWN, found
        sequence = origin.type.kind in ("tuple", "list", "set")
        if origin.raw is None:
            return (tuple_(()), []) if not sequence else self._null_sequence()
        if origin.type.kind == "dynamic":
            return DYNAMIC_UNKNOWN, []
        upgraded_unknown = not sequence and origin.raw is UNKNOWN
        if not sequence:
            origin = tuple_((origin,))
        if origin.raw is UNKNOWN:
            result_type, found = self._result_type(origin.type, context)
            return unknown(result_type), found
        values: list[Value] = []
        for item in origin.raw:
            value, more = self._each(item, context)
            values.append(value)
            found = found + more
        if upgraded_unknown:
            return DYNAMIC_UNKNOWN, found
        if found:
            return unknown(self._result_type(origin.type, context)[0]), found
        return self._collected(origin.type, values, context)

    def _null_sequence(self) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN

        return DYNAMIC_UNKNOWN, [
            Diagnostic(
                "Splat of null value",
                "Splat expressions (with the * symbol) cannot be applied to null sequences.",
                subject=self.origin.range,
                context=self.source.range(self.origin.start, self.mark_end),
            )
        ]

    def _collected(
        self, kind: Type, values: list[Value], context: EvalContext | None
    ) -> tuple[Value, list[Diagnostic]]:
        from bakehouse.hcl.types import DYNAMIC, ListType, TupleType
        from bakehouse.hcl.values import DYNAMIC_UNKNOWN, can_be_collection, list_, tuple_

        if isinstance(kind, TupleType):
            return tuple_(values), []
        if not values:
            result, found = self._result_type(kind, context)
            return list_((), result.element if isinstance(result, ListType) else DYNAMIC), found
        if can_be_collection(values):
            return list_(values), []
        detail = (
            "The second level of splat expression produced elements of different types, so it isn't possible to "
            "construct a valid list to represent the top-level result.\n\nConsider using a for expression instead, to "
            "produce a tuple-typed result which can therefore have non-homogenous element types."
        )
        finding = Diagnostic(
            "Invalid nested splat expressions", detail, subject=self.each.range, context=self.range
        )
        return DYNAMIC_UNKNOWN, [finding]

    def _result_type(self, kind: Type, context: EvalContext | None) -> tuple[Type, list[Diagnostic]]:
        """The type of the result for a sequence of the type `kind`, found by evaluating with unknown items."""
        from bakehouse.hcl.types import CollectionType, ListType, TupleType
        from bakehouse.hcl.values import unknown

        if isinstance(kind, CollectionType):
            value, found = self._each(unknown(kind.element), context)
            return ListType(value.type), found
        assert isinstance(kind, TupleType)
        found = []
        types: list[Type] = []
        for element in kind.elements:
            value, more = self._each(unknown(element), context)
            types.append(value.type)
            found = found + more
        return TupleType(types), found
