"""HCL values: an immutable payload with its type. Null and unknown are values of any type.

Payloads: `str` (NFC), `bool`, `numbers.Number`, `tuple[Value, ...]` for list, tuple and set (sets are ordered
and have no
duplicates), `dict[str, Value]` in key order for map and object. A null has the payload `None`; an unknown one
`UNKNOWN`, which arises only as the result of an expression that failed, so that the rest can still be checked.
Equality of Python objects (`==`) is structural, including the type. Conversions live in `convert`.
"""

from __future__ import annotations

from bakehouse.hcl import numbers
from bakehouse.hcl.limits import BIG_COLLECTION, BIG_TEXT, check_elements, check_parts, check_text
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any


class _Unknown:
    """The payload of unknown values; compared by identity."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


class Value:
    """A value: `type` and the payload `raw` (see the module). Build one through the constructors below."""

    __slots__ = ("raw", "type")

    def __init__(self, type_: Type, raw: Any) -> None:
        self.type = type_
        self.raw = raw

    @staticmethod
    def string(text: str) -> Value:
        return string(text)

    @staticmethod
    def number(value: int | float | numbers.Number) -> Value:
        return number(value)

    @staticmethod
    def boolean(value: bool) -> Value:
        return TRUE if value else FALSE

    @staticmethod
    def null(type_: Type = DYNAMIC) -> Value:
        return Value(type_, None)

    @staticmethod
    def unknown(type_: Type = DYNAMIC) -> Value:
        return Value(type_, UNKNOWN)

    @staticmethod
    def list_(elements: Iterable[Value], element_type: Type | None = None) -> Value:
        return list_(elements, element_type)

    @staticmethod
    def set_(elements: Iterable[Value], element_type: Type | None = None) -> Value:
        return set_(elements, element_type)

    @staticmethod
    def map_(elements: Mapping[str, Value], element_type: Type | None = None) -> Value:
        return map_(elements, element_type)

    @staticmethod
    def tuple_(elements: Iterable[Value]) -> Value:
        return tuple_(elements)

    @staticmethod
    def object_(attributes: Mapping[str, Value]) -> Value:
        return object_(attributes)

    @property
    def is_null(self) -> bool:
        return self.raw is None

    @property
    def is_known(self) -> bool:
        """False only for a value that is itself unknown; its elements may still be."""
        return self.raw is not UNKNOWN

    def is_wholly_known(self) -> bool:
        """Whether neither the value nor anything in it is unknown."""
        raw = self.raw
        if raw is UNKNOWN:
            return False
        if type(raw) is not tuple and type(raw) is not dict:
            return True
        left, looked_at = [self], 0
        while left:
            raw = left.pop().raw
            if raw is UNKNOWN:
                return False
            parts = raw.values() if type(raw) is dict else raw if type(raw) is tuple else ()
            looked_at += len(parts)
            check_parts(looked_at)
            left += parts
        return True

    def can_iterate(self) -> bool:
        """Whether the type has elements and the value is not null (an unknown one counts)."""
        return self.raw is not None and self.type.kind in ("list", "set", "map", "tuple", "object")

    def items(self) -> Iterator[tuple[Value, Value]]:
        """Key and element pairs in HCL's order: indexes for list and tuple, the element itself for sets, sorted
        keys for map and object. The value must be known and not null."""
        raw = self.raw
        if type(raw) is dict:
            for key, element in raw.items():
                yield Value(STRING, key), element
        elif self.type.kind == "set":
            for element in raw:
                yield element, element
        else:
            for index, element in enumerate(raw):
                yield Value(NUMBER, numbers.from_int64(index)), element

    def elements(self) -> tuple[Value, ...]:
        """The elements in HCL's order, without their keys."""
        return tuple(self.raw.values()) if type(self.raw) is dict else self.raw

    def __len__(self) -> int:
        return len(self.raw)

    def __bool__(self) -> bool:
        raise TypeError("an HCL value has no truth value; use .raw is True")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Value)
            and self.type == other.type
            and (
                self.raw is other.raw
                or (self.raw is not None and self.raw is not UNKNOWN and bool(self.raw == other.raw))
            )
        )

    def __hash__(self) -> int:
        raw = self.raw
        if type(raw) is dict:
            return hash(tuple(raw.items()))
        return hash(raw) if raw is not UNKNOWN else 0

    def __repr__(self) -> str:
        return f"Value({self.type.expression()}, {self.raw!r})"

    def to_python(self) -> Any:
        """Plain Python data: str, bool, None, `int` where the number is whole and else `float` (lossy), list for
        list, set and tuple, dict for map and object. Raises ValueError for an unknown value."""
        raw = self.raw
        if raw is UNKNOWN:
            raise ValueError("an unknown value has no Python form")
        if type(raw) is tuple:
            return [element.to_python() for element in raw]
        if type(raw) is dict:
            return {key: element.to_python() for key, element in raw.items()}
        if self.type is NUMBER and raw is not None:
            return numbers.to_int(raw) if numbers.is_integer(raw) else numbers.to_float(raw)
        return raw


TRUE = Value(BOOL, True)
FALSE = Value(BOOL, False)
NULL = Value(DYNAMIC, None)
DYNAMIC_UNKNOWN = Value(DYNAMIC, UNKNOWN)


def normalize(text: str) -> str:
    """`text` in Unicode's normal form C, as every HCL string is kept."""
    if text.isascii():
        return text
    import unicodedata

    return unicodedata.normalize("NFC", text)


def string(text: str) -> Value:
    """A string value; the text is normalised."""
    if len(text) > BIG_TEXT:
        check_text(len(text))
    return Value(STRING, text if text.isascii() else normalize(text))


def number(value: int | float | numbers.Number) -> Value:
    """A number of full precision from an `int`; from a Python `float` one that keeps 53 bits in later arithmetic."""
    if isinstance(value, float):
        return Value(NUMBER, numbers.from_float(value))
    return Value(NUMBER, value)


def boolean(value: bool) -> Value:
    return TRUE if value else FALSE


def integer(value: int) -> Value:
    """A number as functions make from machine integers: 64 bits of precision in later arithmetic."""
    return Value(NUMBER, numbers.from_int64(value))


def null(type_: Type = DYNAMIC) -> Value:
    return Value(type_, None)


def unknown(type_: Type = DYNAMIC) -> Value:
    return Value(type_, UNKNOWN)


def _element_type(elements: Iterable[Value], given: Type | None) -> Type:
    """The type that all `elements` share (dynamic ones take part as a wildcard), else `given`, else dynamic."""
    found = DYNAMIC if given is None else given
    for element in elements:
        if element.type is not DYNAMIC:
            return element.type
    return found


def can_be_collection(elements: Iterable[Value]) -> bool:
    """Whether a list, set or map may hold these elements: they have one type, or are dynamically typed."""
    first: Type | None = None
    for element in elements:
        if element.type is DYNAMIC:
            continue
        if first is None:
            first = element.type
        elif first != element.type:
            return False
    return True


def list_(elements: Iterable[Value], element_type: Type | None = None) -> Value:
    """A list of elements that all have one type; `element_type` is used when there are none."""
    raw = tuple(elements)
    if len(raw) > BIG_COLLECTION:
        check_elements(len(raw))
    return Value(ListType(_element_type(raw, element_type)), raw)


def tuple_(elements: Iterable[Value]) -> Value:
    raw = tuple(elements)
    return Value(TupleType([element.type for element in raw]), raw)


def map_(elements: Mapping[str, Value], element_type: Type | None = None) -> Value:
    """A map of elements that all have one type; `element_type` is used when there are none."""
    raw = {key: elements[key] for key in sorted(elements)}
    return Value(MapType(_element_type(raw.values(), element_type)), _normal_keys(raw))


def object_(attributes: Mapping[str, Value]) -> Value:
    raw = _normal_keys({key: attributes[key] for key in sorted(attributes)})
    return Value(ObjectType({key: value.type for key, value in raw.items()}), raw)


def _normal_keys(raw: dict[str, Value]) -> dict[str, Value]:
    if all(key.isascii() for key in raw):
        return raw
    normal = {normalize(key): value for key, value in raw.items()}
    return {key: normal[key] for key in sorted(normal)}


def set_(elements: Iterable[Value], element_type: Type | None = None) -> Value:
    """A set: equal elements coincide; primitives are in order, others in an arbitrary but stable one. A set that
    would hold anything unknown is itself unknown."""
    raw = tuple(elements)
    set_type = SetType(_element_type(raw, element_type))
    if not all(element.is_wholly_known() for element in raw):
        return Value(set_type, UNKNOWN)
    return Value(set_type, sorted_unique(raw))


def sorted_unique(elements: Iterable[Value]) -> tuple[Value, ...]:
    """The distinct elements in the order in which a set shows them: nulls last."""
    distinct: dict[Any, Value] = {}
    for element in elements:
        distinct.setdefault(element, element)
    return tuple(sorted(distinct.values(), key=_order_key))


def _order_key(value: Value) -> tuple[bool, Any]:
    raw = value.raw
    if raw is None:
        return (True, "")
    if value.type is STRING or value.type is BOOL:
        return (False, raw)
    if value.type is NUMBER:
        return (False, numbers.OrderKey(raw))
    return (False, hash_text(value))


def hash_text(value: Value) -> bytes:
    """The bytes by which collections inside a set are ordered; equal for equal values of one type."""
    return _hash_text(value).encode("utf-8", "surrogatepass")


def _hash_text(value: Value) -> str:
    raw = value.raw
    kind = value.type.kind
    if raw is UNKNOWN:
        return "?"
    if raw is None:
        return "~"
    if kind == "number":
        return numbers.to_general_text(raw, 10)
    if kind == "bool":
        return "T" if raw else "F"
    if kind == "string":
        from bakehouse.go.text import quote

        return quote(raw)
    if kind == "map":
        from bakehouse.go.text import quote

        return "{" + "".join(f"{quote(key)}:{_hash_text(item)};" for key, item in raw.items()) + "}"
    inner = "".join(f"{_hash_text(item)};" for item in value.elements())
    return f"<{inner}>" if kind in ("object", "tuple") else f"[{inner}]"


def equals(left: Value, right: Value) -> bool | None:
    """HCL's `==` on values: types must agree (nulls of any type are equal); None when the answer is unknown."""
    if left.raw is None or right.raw is None:
        if left.raw is None and right.raw is None:
            return True
        other = right if left.raw is None else left
        return None if other.raw is UNKNOWN else False
    if left.raw is UNKNOWN or right.raw is UNKNOWN:
        # What cannot be equal whatever the value turns out to be is decided by the types.
        if left.type != right.type and not left.type.has_dynamic() and not right.type.has_dynamic():
            return False
        return None
    if left.type != right.type and not (left.type.has_dynamic() or right.type.has_dynamic()):
        return False
    return _equal_known(left, right)


def _equal_known(left: Value, right: Value) -> bool | None:
    mine, other = left.raw, right.raw
    if type(mine) is dict:
        if type(other) is not dict or mine.keys() != other.keys():
            return False
        return _all_equal((mine[key], other[key]) for key in mine)
    if type(mine) is tuple:
        if left.type.kind != right.type.kind or type(other) is not tuple or len(mine) != len(other):
            return False
        return _all_equal(zip(mine, other, strict=True))
    return left.type is right.type and bool(mine == other)


def _all_equal(pairs: Iterable[tuple[Value, Value]]) -> bool | None:
    known = True
    for mine, other in pairs:
        result = equals(mine, other)
        if result is False:
            return False
        if result is None:
            known = False
    return True if known else None
