"""Why a value of one type does not fit another, in go-cty's words (`convert.MismatchMessage`)."""

from __future__ import annotations

from bakehouse.go.text import quote
from bakehouse.hcl.types import (
    BOOL,
    DYNAMIC,
    NUMBER,
    STRING,
    CollectionType,
    ListType,
    MapType,
    ObjectType,
    SetType,
    TupleType,
    Type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def mismatch_message(got: Type, want: Type) -> str:
    """A phrase without a final period, such as `list of string required, but have string`."""
    if isinstance(got, ObjectType) and isinstance(want, ObjectType):
        return _objects(got, want)
    if isinstance(want, CollectionType):
        if want.element is DYNAMIC and (
            (isinstance(got, TupleType) and want.kind in ("list", "set"))
            or (isinstance(got, ObjectType) and want.kind == "map")
        ):
            return f"all {want.kind} elements must have the same type"
        if isinstance(got, (TupleType, ObjectType)):
            return _collection_from_structure(got, want)
        if isinstance(got, CollectionType):
            return _collection_from_collection(got, want)
    if not _confusing(got, want):
        return f"{want.friendly_name()} required, but have {got.friendly_name()}"
    return f"{want.constraint_name()} required"


def _objects(got: ObjectType, want: ObjectType) -> str:
    from bakehouse.hcl.convert import conversion

    missing = [name for name in want.attributes if name not in got.attributes and name not in want.optional]
    if missing:
        return _missing_attributes([quote(name) for name in missing])
    safe = ""
    for name, wanted in want.attributes.items():
        mine = got.attributes.get(name)
        if mine is None or mine == wanted:
            continue
        if conversion(mine, wanted, True) is None:
            return f"attribute {quote(name)}: {mismatch_message(mine, wanted)}"
        if not safe and conversion(mine, wanted, False) is None:
            safe = f"attribute {quote(name)}: {mismatch_message(mine, wanted)}"
    return safe or "incorrect object attributes"


def _missing_attributes(quoted: list[str]) -> str:
    if len(quoted) == 1:
        return f"attribute {quoted[0]} is required"
    if len(quoted) == 2:
        return f"attributes {quoted[0]} and {quoted[1]} are required"
    return f"attributes {', '.join(quoted[:-1])}, and {quoted[-1]} are required"


def _collection_from_structure(got: TupleType | ObjectType, want: CollectionType) -> str:
    from bakehouse.hcl.convert import conversion

    if isinstance(got, TupleType) == isinstance(want, MapType):
        return f"{want.constraint_name()} required"
    for name, element in _members(got):
        if element != want.element and conversion(element, want.element, True) is None:
            return f"element {name}: {mismatch_message(element, want.element)}"
    return f"all elements must be {want.element.constraint_name()}"


def _members(structure: TupleType | ObjectType) -> Iterator[tuple[str, Type]]:
    if isinstance(structure, TupleType):
        return ((str(index), element) for index, element in enumerate(structure.elements))
    return ((quote(name), element) for name, element in structure.attributes.items())


def _collection_from_collection(got: CollectionType, want: CollectionType) -> str:
    if isinstance(want, (ListType, SetType)) == isinstance(got, MapType):
        return f"{want.constraint_name()} required"
    return f"incorrect {want.kind} element type: {mismatch_message(got.element, want.element)}"


def _confusing(got: Type, want: Type) -> bool:
    """Whether naming both types would mislead more than help."""
    if got.is_primitive != want.is_primitive or want is STRING:
        return False
    if (want is BOOL and got is NUMBER) or (got is BOOL and want is NUMBER):
        return False
    return not (isinstance(got, TupleType) and isinstance(want, ObjectType))
