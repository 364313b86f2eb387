"""Traversals (`a.b[0]`) and the two operations that they are made of: attribute access and indexing.

Follows hashicorp/hcl `traversal.go` and `ops.go`, wording included. On the start-up path.
"""

from __future__ import annotations

from bakehouse.diagnostics import Diagnostic, SourceRange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.hcl import numbers
    from bakehouse.hcl.source import Source
    from bakehouse.hcl.types import Type
    from bakehouse.hcl.values import Value


class Spanned:
    """Something at source.text[start:end]; the range is computed when asked for."""

    __slots__ = ("end", "source", "start")

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    @property
    def range(self) -> SourceRange:
        return self.source.range(self.start, self.end)


class TraverseRoot(Spanned):
    """The variable with which an absolute traversal begins."""

    __slots__ = ("name",)

    def __init__(self, name: str, source: Source, start: int, end: int) -> None:
        self.name = name
        self.source = source
        self.start = start
        self.end = end


class TraverseAttribute(Spanned):
    """`.name`"""

    __slots__ = ("name",)

    def __init__(self, name: str, source: Source, start: int, end: int) -> None:
        self.name = name
        self.source = source
        self.start = start
        self.end = end

    def apply(self, value: Value) -> tuple[Value, list[Diagnostic]]:
        return get_attribute(value, self.name, self)


class TraverseIndex(Spanned):
    """`[key]` with a constant key, or the old form `.0`."""

    __slots__ = ("key",)

    def __init__(self, key: Value, source: Source, start: int, end: int) -> None:
        self.key = key
        self.source = source
        self.start = start
        self.end = end

    def apply(self, value: Value) -> tuple[Value, list[Diagnostic]]:
        return index(value, self.key, self)


class Traversal:
    """An absolute traversal: a root and the steps from it."""

    __slots__ = ("root", "steps")

    def __init__(self, root: TraverseRoot, steps: list[TraverseAttribute | TraverseIndex]) -> None:
        self.root = root
        self.steps = steps

    @property
    def root_name(self) -> str:
        return self.root.name

    @property
    def range(self) -> SourceRange:
        last = self.steps[-1] if self.steps else self.root
        return self.root.source.range(self.root.start, last.end)

    def __repr__(self) -> str:
        return f"Traversal({self.root.source.text[self.root.start : (self.steps or [self.root])[-1].end]})"  # type: ignore[list-item]


def apply_steps(
    value: Value, steps: Iterable[TraverseAttribute | TraverseIndex]
) -> tuple[Value, list[Diagnostic]]:
    """The value at the end of the steps; the first step that fails ends the walk with an unknown value."""
    for step in steps:
        value, found = step.apply(value)
        if found:
            return value, found
    return value, []


def _failed(summary: str, detail: str, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN

    return DYNAMIC_UNKNOWN, [Diagnostic(summary, detail, subject=where.range)]


def get_attribute(value: Value, name: str, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    """`value.name` for objects and maps; `where` locates findings."""
    from bakehouse.hcl.types import MapType, ObjectType
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, Value

    if value.raw is None:
        return _failed(
            "Attempt to get attribute from null value",
            "This value is null, so it does not have any attributes.",
            where,
        )
    kind = value.type
    if isinstance(kind, ObjectType):
        if name in kind.attributes:
            if value.raw is UNKNOWN:
                return Value(kind.attributes[name], UNKNOWN), []
            return value.raw[name], []
        from bakehouse.go.text import quote

        detail = f"This object does not have an attribute named {quote(name)}."
        return _failed("Unsupported attribute", detail, where)
    if isinstance(kind, MapType):
        if value.raw is UNKNOWN:
            return Value(kind.element, UNKNOWN), []
        if name in value.raw:
            return value.raw[name], []
        from bakehouse.go.text import quote

        detail = f"This map does not have an element with the key {quote(name)}."
        return _failed("Missing map element", detail, where)
    if kind.kind == "dynamic":
        return DYNAMIC_UNKNOWN, []
    return _failed("Unsupported attribute", _no_attributes(kind, name), where)


def _no_attributes(kind: Type, name: str) -> str:
    from bakehouse.go.text import quote
    from bakehouse.hcl.types import ListType, ObjectType, SetType

    if isinstance(kind, ListType) and isinstance(kind.element, ObjectType):
        what = f"attribute {quote(name)}" if name in kind.element.attributes else "an attribute"
        return (
            f"Can't access attributes on a list of objects. Did you mean to access {what} for a specific element of "
            "the list, or across all elements of the list?"
        )
    if isinstance(kind, SetType) and isinstance(kind.element, ObjectType):
        return (
            "Can't access attributes on a set of objects. Did you mean to access an attribute across all elements of "
            "the set?"
        )
    if kind.is_primitive:
        return f"Can't access attributes on a primitive-typed value ({kind.friendly_name()})."
    return "This value does not have any attributes."


_NO_ELEMENT = "The given key does not identify an element in this collection value"


def index(value: Value, key: Value, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    """`value[key]`; `where` locates findings."""
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN

    if value.raw is None:
        return _failed(
            "Attempt to index null value", "This value is null, so it does not have any indices.", where
        )
    if key.raw is None:
        return _failed("Invalid index", "Can't use a null value as an indexing key.", where)
    kind = value.type.kind
    if kind == "dynamic" or key.type.kind == "dynamic":
        return DYNAMIC_UNKNOWN, []
    if kind in ("list", "tuple"):
        return _index_sequence(value, key, where)
    if kind == "map":
        return _index_map(value, key, where)
    if kind == "object":
        return _index_object(value, key, where)
    if kind == "set":
        return _failed(
            "Invalid index",
            "Elements of a set are identified only by their value and don't have any separate index or key to select "
            "with, so it's only possible to perform operations across all elements of the set.",
            where,
        )
    return _failed("Invalid index", "This value does not have any indices.", where)


def _converted_key(key: Value, want: Type, where: Spanned) -> tuple[Value | None, list[Diagnostic]]:
    from bakehouse.hcl.convert import ConversionError, convert

    try:
        return convert(key, want), []
    except ConversionError as error:
        return None, _failed("Invalid index", f"{_NO_ELEMENT}: {error.message}.", where)[1]


def _index_sequence(value: Value, key: Value, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    from bakehouse.hcl import numbers
    from bakehouse.hcl.types import NUMBER, ListType, TupleType
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, Value

    number, found = _converted_key(key, NUMBER, where)
    if number is None:
        return DYNAMIC_UNKNOWN, found
    kind = value.type
    element = kind.element if isinstance(kind, ListType) else None
    if number.raw is UNKNOWN or (value.raw is UNKNOWN and element is not None):
        return (DYNAMIC_UNKNOWN if element is None else Value(element, UNKNOWN)), []
    length = len(kind.elements) if isinstance(kind, TupleType) else len(value.raw)
    place = number.raw
    if numbers.is_integer(place) and numbers.sign(place) >= 0 and numbers.compare(place, length) < 0:
        if value.raw is UNKNOWN:
            assert isinstance(kind, TupleType)
            return Value(kind.elements[numbers.to_int(place)], UNKNOWN), []
        return value.raw[numbers.to_int(place)], []
    return _failed("Invalid index", f"{_NO_ELEMENT}{_bad_place(place, length)}.", where)


def _bad_place(place: numbers.Number, length: int) -> str:
    from bakehouse.hcl import numbers

    if not numbers.is_integer(place):
        return ": indexing a sequence requires a whole number, but the given index has a fractional part"
    if numbers.sign(place) < 0:
        return ": a negative number is not a valid index for a sequence"
    if numbers.compare(place, length) > 0:
        # The original tests the wrong sign here, so only an index that equals the length gets the longer text.
        return ""
    if length == 0:
        return ": the collection has no elements"
    return ": the given index is greater than or equal to the length of the collection"


def _index_map(value: Value, key: Value, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    from bakehouse.hcl.types import STRING, MapType
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, Value

    text, found = _converted_key(key, STRING, where)
    if text is None:
        return DYNAMIC_UNKNOWN, found
    assert isinstance(value.type, MapType)
    if text.raw is UNKNOWN or value.raw is UNKNOWN:
        return Value(value.type.element, UNKNOWN), []
    if text.raw in value.raw:
        return value.raw[text.raw], []
    return _failed("Invalid index", f"{_NO_ELEMENT}.", where)


def _index_object(value: Value, key: Value, where: Spanned) -> tuple[Value, list[Diagnostic]]:
    from bakehouse.hcl.types import NUMBER, STRING, ObjectType
    from bakehouse.hcl.values import DYNAMIC_UNKNOWN, UNKNOWN, Value

    text, found = _converted_key(key, STRING, where)
    if text is None:
        return DYNAMIC_UNKNOWN, found
    if text.raw is UNKNOWN:
        return DYNAMIC_UNKNOWN, []
    assert isinstance(value.type, ObjectType)
    if text.raw not in value.type.attributes:
        hint = ""
        if key.type is NUMBER:
            hint = " An object only supports looking up attributes by name, not by numeric index."
        return _failed("Invalid index", f"{_NO_ELEMENT}.{hint}", where)
    if value.raw is UNKNOWN:
        return Value(value.type.attributes[text.raw], UNKNOWN), []
    return value.raw[text.raw], []
