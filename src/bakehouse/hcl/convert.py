"""Conversion of values between types and the unification of types, as go-cty's `convert` package does both.

A conversion is *safe* when every value of the source type has a counterpart (number to string) and *unsafe* when it may
fail for some (string to number). Wording of what does not fit is in `mismatch`.
"""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.hcl import numbers
from bakehouse.hcl.types import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
)
from bakehouse.hcl.values import (
    FALSE,
    TRUE,
    UNKNOWN,
    Value,
    can_be_collection,
    list_,
    map_,
    object_,
    set_,
    tuple_,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    Path: TypeAlias = tuple[str | int, ...]
    Conversion: TypeAlias = Callable[[Value, Path], Value]


class ConversionError(DefinitionError):
    """The value cannot become one of the wanted type. `path` leads to the part at fault: attribute names, map keys and
    indexes. The message continues a sentence and has no final period."""

    default_code = "value-conversion"

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def convert(value: Value, want: Type) -> Value:
    """`value` as one of the type `want`; nulls and unknowns keep their nature. Raises ConversionError."""
    got = value.type
    if got is want or got == want.without_optional():
        return value
    change = conversion(got, want, True)
    if change is None:
        from bakehouse.hcl.mismatch import mismatch_message

        raise ConversionError((), mismatch_message(got, want))
    return change(value, ())


def conversion(got: Type, want: Type, unsafe: bool) -> Conversion | None:
    """How to make a `want` out of a `got`, or None when there is no way."""
    if want is DYNAMIC:
        return _same
    known = _known_conversion(got, want, unsafe)
    if known is None:
        return None

    def change(value: Value, path: Path) -> Value:
        if value.raw is None or value.raw is UNKNOWN:
            return Value(_dynamic_replaced(value.type, want.without_optional()), value.raw)
        return known(value, path)

    return change


def _same(value: Value, path: Path) -> Value:
    return value


def _known_conversion(got: Type, want: Type, unsafe: bool) -> Conversion | None:
    if got is DYNAMIC:
        return _late_conversion(want) if unsafe else None
    if want.is_primitive:
        if not got.is_primitive:
            return None
        return _primitive_conversion(got, want, unsafe)
    kinds = (got.kind, want.kind)
    if isinstance(want, ObjectType):
        if isinstance(got, ObjectType):
            return _object_to_object(got, want, unsafe)
        return _map_to_object(got, want) if isinstance(got, MapType) and unsafe else None
    if isinstance(want, TupleType):
        return _tuple_to_tuple(got, want, unsafe) if isinstance(got, TupleType) else None
    if kinds in (("list", "list"), ("set", "list"), ("list", "set"), ("set", "set"), ("map", "map")):
        if kinds == ("list", "set") and not unsafe:
            return None
        assert isinstance(got, (ListType, SetType, MapType)) and isinstance(
            want, (ListType, SetType, MapType)
        )
        return _collection_to_collection(got, want, unsafe)
    if isinstance(got, TupleType) and isinstance(want, (ListType, SetType)):
        return _tuple_to_sequence(got, want, unsafe)
    if isinstance(got, ObjectType) and isinstance(want, MapType):
        return _object_to_map(got, want, unsafe)
    return None


def _late_conversion(want: Type) -> Conversion:
    def change(value: Value, path: Path) -> Value:
        try:
            return convert(value, want)
        except ConversionError as error:
            raise ConversionError(path + error.path, error.message) from None

    return change


def number_text(number: numbers.Number) -> str:
    """The decimal text of a number; a number too long to write is a ConversionError."""
    try:
        return numbers.to_text(number)
    except numbers.NumberError as error:
        raise ConversionError((), str(error)) from None


def _primitive_conversion(got: Type, want: Type, unsafe: bool) -> Conversion | None:
    if want is STRING:
        if got is NUMBER:
            return lambda value, path: Value(STRING, number_text(value.raw))
        if got is BOOL:
            return lambda value, path: Value(STRING, "true" if value.raw else "false")
    if not unsafe or got is not STRING:
        return None
    return _string_to_number if want is NUMBER else _string_to_bool if want is BOOL else None


def _string_to_number(value: Value, path: Path) -> Value:
    number = numbers.parse(value.raw)
    if number is None:
        raise ConversionError(path, "a number is required")
    return Value(NUMBER, number)


def _string_to_bool(value: Value, path: Path) -> Value:
    text = value.raw
    if text in ("true", "1"):
        return TRUE
    if text in ("false", "0"):
        return FALSE
    lower = text.lower()
    if lower in ("true", "false"):
        raise ConversionError(path, f'a bool is required; to convert from string, use lowercase "{lower}"')
    raise ConversionError(path, "a bool is required")


def _plain_null(value: Value) -> Value:
    return Value(value.type.without_optional(), None) if value.raw is None else value


def _object_to_object(got: ObjectType, want: ObjectType, unsafe: bool) -> Conversion | None:
    changes: dict[str, Conversion | None] = {}
    for name, wanted in want.attributes.items():
        mine = got.attributes.get(name)
        if mine is None:
            if name in want.optional:
                continue
            return None
        if mine == wanted:
            changes[name] = None
            continue
        changes[name] = conversion(mine, wanted, unsafe)
        if changes[name] is None:
            return None

    def change(value: Value, path: Path) -> Value:
        out: dict[str, Value] = {}
        for name, element in value.raw.items():
            if name in changes:
                step = changes[name]
                out[name] = _plain_null(element if step is None else step(element, (*path, name)))
        for name in want.optional:
            if name not in out:
                out[name] = Value(want.attributes[name].without_optional(), None)
        return object_(out)

    return change


def _tuple_to_tuple(got: TupleType, want: TupleType, unsafe: bool) -> Conversion | None:
    if len(got.elements) != len(want.elements):
        return None
    changes = _element_changes(got.elements, want.elements, unsafe)
    if changes is None:
        return None

    def change(value: Value, path: Path) -> Value:
        return tuple_(_changed(value.raw, changes, path))

    return change


def _element_changes(
    got: Sequence[Type], want: Sequence[Type], unsafe: bool
) -> list[Conversion | None] | None:
    """One conversion a position (None where none is needed), or None when one is impossible."""
    changes: list[Conversion | None] = []
    for mine, wanted in zip(got, want, strict=True):
        step = None
        if mine != wanted:
            step = conversion(mine, wanted, unsafe)
            if step is None:
                return None
        changes.append(step)
    return changes


def _changed(elements: Sequence[Value], changes: Sequence[Conversion | None], path: Path) -> list[Value]:
    return [
        element if step is None else step(element, (*path, index))
        for index, (element, step) in enumerate(zip(elements, changes, strict=True))
    ]


def _collection_to_collection(
    got: ListType | SetType | MapType, want: ListType | SetType | MapType, unsafe: bool
) -> Conversion | None:
    step: Conversion | None = None
    if got.element != want.element:
        step = conversion(got.element, want.element, unsafe)
        if step is None:
            return None
    empty = got.element if want.element is DYNAMIC else want.element.without_optional()

    def change(value: Value, path: Path) -> Value:
        if isinstance(want, MapType):
            return _to_map(value, path)
        elements = value.raw if step is None else _changed(value.raw, [step] * len(value.raw), path)
        elements = [_plain_null(element) for element in elements]
        if not can_be_collection(elements):
            raise ConversionError(path, f"element types must all match for conversion to {want.kind}")
        return (list_ if isinstance(want, ListType) else set_)(elements, empty)

    def _to_map(value: Value, path: Path) -> Value:
        elements = {
            key: element if step is None else step(element, (*path, key))
            for key, element in value.raw.items()
        }
        if elements and (want.element.is_collection or want.element.kind == "object"):
            elements = _unified_members(elements, path, False)
        if not can_be_collection(elements.values()):
            raise ConversionError(path, "element types must all match for conversion to map")
        return map_(elements, empty)

    return change


def _common_type(types: Sequence[Type], want: Type, unsafe: bool, strict: bool) -> Type | None:
    """The element type for a conversion to a collection of `want`: found by unification where `want` is dynamic."""
    if want is not DYNAMIC:
        return want
    unified = unify(types, unsafe)
    if unified is None:
        return None
    if strict and unified is DYNAMIC and any(type_ is not DYNAMIC for type_ in types):
        return None
    return unified


def _tuple_to_sequence(got: TupleType, want: ListType | SetType, unsafe: bool) -> Conversion | None:
    make = list_ if isinstance(want, ListType) else set_
    if not got.elements:
        empty = want.element.without_optional()
        return lambda value, path: make((), empty)
    element_type = _common_type(got.elements, want.element, unsafe, True)
    if element_type is None:
        return None
    changes = _element_changes(got.elements, [element_type] * len(got.elements), unsafe)
    if changes is None:
        return None

    def change(value: Value, path: Path) -> Value:
        elements = _changed(value.raw, changes, path)
        if isinstance(want, ListType):
            elements = _unified_elements(elements, path, unsafe)
        else:
            elements = [_plain_null(element) for element in elements]
        if not can_be_collection(elements):
            raise ConversionError(path, f"element types must all match for conversion to {want.kind}")
        return make(elements, None)

    return change


def _object_to_map(got: ObjectType, want: MapType, unsafe: bool) -> Conversion | None:
    if not got.attributes:
        empty = want.element.without_optional()
        return lambda value, path: map_({}, empty)
    element_type = _common_type(tuple(got.attributes.values()), want.element, unsafe, False)
    if element_type is None:
        return None
    changes: dict[str, Conversion | None] = {}
    for name, mine in got.attributes.items():
        changes[name] = None if mine == element_type else conversion(mine, element_type, unsafe)
        if mine != element_type and changes[name] is None:
            return None

    def change(value: Value, path: Path) -> Value:
        elements: dict[str, Value] = {}
        for name, element in value.raw.items():
            step = changes[name]
            elements[name] = element if step is None else step(element, (*path, name))
        if element_type.is_collection or element_type.kind == "object":
            elements = _unified_members(elements, path, unsafe)
        if not can_be_collection(elements.values()):
            raise ConversionError(path, "attribute types must all match for conversion to map")
        return map_(elements)

    return change


def _map_to_object(got: MapType, want: ObjectType) -> Conversion | None:
    changes: dict[str, Conversion | None] = {}
    for name, wanted in want.attributes.items():
        if wanted == got.element:
            continue
        changes[name] = conversion(got.element, wanted, True)
        if changes[name] is None and name not in want.optional:
            return None

    def change(value: Value, path: Path) -> Value:
        out: dict[str, Value] = {}
        for name, element in value.raw.items():
            if name not in want.attributes:
                continue
            if name in changes:
                step = changes[name]
                if step is None:
                    raise _incompatible_element(name, element.type, want, path)
                element = step(element, (*path, name))
            out[name] = _plain_null(element)
        for name, wanted in want.attributes.items():
            if name not in out:
                if name not in want.optional:
                    raise ConversionError(path, f'map has no element for required attribute "{name}"')
                out[name] = Value(wanted, None)
        return object_(out)

    return change


def _incompatible_element(name: str, got: Type, want: ObjectType, path: Path) -> ConversionError:
    from bakehouse.hcl.mismatch import mismatch_message

    reason = mismatch_message(got, want.attributes[name])
    return ConversionError(path, f'map element type is incompatible with attribute "{name}": {reason}')


def _unified_elements(elements: list[Value], path: Path, unsafe: bool) -> list[Value]:
    """The elements brought to one type, which they need not have when the wanted element type is partly dynamic."""
    first = elements[0].type
    if all(element.type == first for element in elements):
        return elements
    unified = unify([element.type for element in elements], unsafe)
    if unified is None:
        raise ConversionError(path, "cannot find a common base type for all elements")
    out = []
    for index, element in enumerate(elements):
        step = None if element.type == unified else conversion(element.type, unified, unsafe)
        out.append(element if step is None else step(element, (*path, index)))
    return out


def _unified_members(elements: dict[str, Value], path: Path, unsafe: bool) -> dict[str, Value]:
    values = _unified_elements(list(elements.values()), path, unsafe)
    return dict(zip(elements, values, strict=True))


def _dynamic_replaced(got: Type, want: Type) -> Type:
    """`want` with each dynamic part replaced by what `got` has in its place."""
    if got is DYNAMIC or want.is_primitive or not want.has_dynamic():
        return want
    if want is DYNAMIC:
        return got
    if isinstance(want, (ListType, SetType, MapType)):
        inner = _inner_type(got, isinstance(want, MapType))
        return want if inner is None else type(want)(_dynamic_replaced(inner, want.element))
    if isinstance(want, ObjectType):
        out = dict(want.attributes)
        for name, wanted in want.attributes.items():
            if isinstance(got, MapType):
                out[name] = _dynamic_replaced(got.element, wanted)
            elif isinstance(got, ObjectType) and name in got.attributes:
                out[name] = _dynamic_replaced(got.attributes[name], wanted)
        return ObjectType(out)
    if isinstance(want, TupleType) and isinstance(got, TupleType):
        return TupleType(map(_dynamic_replaced, got.elements, want.elements))
    return want


def _inner_type(got: Type, mapping: bool) -> Type | None:
    if mapping:
        if isinstance(got, ObjectType):
            return unify(tuple(got.attributes.values()), True) or DYNAMIC
        return got.element if isinstance(got, MapType) else None
    if isinstance(got, TupleType):
        return unify(got.elements, True) or DYNAMIC
    return got.element if isinstance(got, (ListType, SetType)) else None


def unify(types: Sequence[Type], unsafe: bool = False) -> Type | None:
    """The most general type that all `types` convert to, or None. Converting is then `conversion(t, unified,
    unsafe)`."""
    if types and all(type_ == types[0] for type_ in types[1:]) and not types[0].has_dynamic():
        return types[0]
    from bakehouse.hcl.unification import unify_types

    return unify_types(types, unsafe)
