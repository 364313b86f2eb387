"""The search for a common type (go-cty `convert/unify.go`, `compare_types.go`, `sort_types.go`). Used through
`convert.unify`."""

from __future__ import annotations

from bakehouse.hcl.convert import conversion
from bakehouse.hcl.types import (
    DYNAMIC,
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
    from collections.abc import Sequence


def unify_types(types: Sequence[Type], unsafe: bool) -> Type | None:
    """See `convert.unify`."""
    if not types:
        return None
    decided, result = _unify_by_kind(types, unsafe)
    if decided:
        return result
    for index in _by_preference(types):
        want = types[index]
        if _all_convert(types, want, unsafe):
            return want
    return None


def _all_convert(types: Sequence[Type], want: Type, unsafe: bool) -> bool:
    return all(type_ == want or conversion(type_, want, unsafe) is not None for type_ in types)


def _unify_by_kind(types: Sequence[Type], unsafe: bool) -> tuple[bool, Type | None]:
    """Whether the kinds alone settle the way, and then the result."""
    kinds = {type_.kind for type_ in types}
    dynamic = "dynamic" in kinds
    kinds.discard("dynamic")
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if kind in ("list", "set", "map"):
            return True, DYNAMIC if dynamic else _unify_collections(types, unsafe)
        if kind == "object":
            return True, DYNAMIC if dynamic else _unify_objects(types, unsafe)
        if kind == "tuple":
            return True, DYNAMIC if dynamic else _unify_tuples(types, unsafe)
    if kinds == {"map", "object"} or kinds == {"list", "tuple"}:
        result = _unify_mixed(types, unsafe)
        return result is not None, result
    return "object" in kinds and "tuple" in kinds, None


def _unify_mixed(types: Sequence[Type], unsafe: bool) -> Type | None:
    """Objects among maps count as maps, tuples among lists as lists, if that works out."""
    structures = [type_ for type_ in types if type_.kind in ("object", "tuple")]
    merged = _members_to_collection(structures, unsafe)
    if merged is None:
        return None
    unified = unify_types([merged if type_.kind in ("object", "tuple") else type_ for type_ in types], unsafe)
    return unified if unified is not None and unified.kind == merged.kind else None


def _unify_collections(types: Sequence[Type], unsafe: bool) -> Type | None:
    first = types[0]
    assert isinstance(first, CollectionType)
    element = unify_types([type_.element for type_ in types if isinstance(type_, CollectionType)], unsafe)
    if element is None:
        return None
    result = type(first)(element)
    return result if _all_convert(types, result, unsafe) else None


def _unify_objects(types: Sequence[Type], unsafe: bool) -> Type | None:
    objects = [type_ for type_ in types if isinstance(type_, ObjectType)]
    names = objects[0].attributes.keys()
    if any(object_.attributes.keys() != names for object_ in objects):
        return _members_to_collection(types, unsafe)
    attributes: dict[str, Type] = {}
    for name in names:
        unified = unify_types([object_.attributes[name] for object_ in objects], unsafe)
        if unified is None:
            return None
        attributes[name] = unified
    result = ObjectType(attributes)
    return result if _all_convert(types, result, unsafe) else _members_to_collection(types, unsafe)


def _unify_tuples(types: Sequence[Type], unsafe: bool) -> Type | None:
    tuples = [type_ for type_ in types if isinstance(type_, TupleType)]
    length = len(tuples[0].elements)
    if any(len(tuple_.elements) != length for tuple_ in tuples):
        return _members_to_collection(types, unsafe)
    elements: list[Type] = []
    for index in range(length):
        unified = unify_types([tuple_.elements[index] for tuple_ in tuples], unsafe)
        if unified is None:
            return None
        elements.append(unified)
    result = TupleType(elements)
    return result if _all_convert(types, result, unsafe) else _members_to_collection(types, unsafe)


def _members_to_collection(types: Sequence[Type], unsafe: bool) -> Type | None:
    """The map that can hold all attributes of these objects, or the list for the elements of these tuples."""
    members: list[Type] = []
    for type_ in types:
        if isinstance(type_, ObjectType):
            members += type_.attributes.values()
        elif isinstance(type_, TupleType):
            members += type_.elements
    element = unify_types(members, unsafe)
    if element is None:
        return None
    result = MapType(element) if isinstance(types[0], ObjectType) else ListType(element)
    return result if _all_convert(types, result, unsafe) else None


def _by_preference(types: Sequence[Type]) -> list[int]:
    """Indexes of the types, more general ones first (a topological order that keeps the given one among equals)."""
    count = len(types)
    below: list[list[int]] = [[] for _ in types]
    degree = [0] * count
    for left in range(count - 1):
        for right in range(left + 1, count):
            order = _compare(types[left], types[right])
            if order:
                above, under = (left, right) if order < 0 else (right, left)
                below[above].append(under)
                degree[under] += 1
    queue = [index for index in range(count) if degree[index] == 0]
    for index in queue:
        for under in below[index]:
            degree[under] -= 1
            if degree[under] == 0:
                queue.append(under)
    # The original fills a fixed-size result, so types in a cycle leave index 0 at the end.
    return queue + [0] * (count - len(queue))


def _compare(left: Type, right: Type) -> int:
    """Negative when `left` is the more general type, positive when `right` is, 0 when neither."""
    if left is DYNAMIC or right is DYNAMIC:
        return (left is DYNAMIC) - (right is DYNAMIC)
    if left.is_primitive and right.is_primitive and (left is STRING or right is STRING):
        return (left is not STRING) - (right is not STRING)
    if isinstance(left, CollectionType) and isinstance(right, CollectionType) and left.kind == right.kind:
        return _compare(left.element, right.element)
    if (left.kind, right.kind) in _SWAPPED:
        return -_compare_kinds(right, left)
    return _compare_kinds(left, right)


_SWAPPED = {("tuple", "list"), ("object", "map"), ("set", "tuple"), ("set", "list")}


def _compare_kinds(left: Type, right: Type) -> int:
    if isinstance(right, SetType) and isinstance(left, (TupleType, ListType)):
        return -1
    if isinstance(left, ListType) and isinstance(right, TupleType):
        return -1
    if isinstance(left, MapType) and isinstance(right, ObjectType):
        return -1
    if isinstance(left, ObjectType) and isinstance(right, ObjectType):
        if left.attributes.keys() != right.attributes.keys():
            return 0
        return _majority(
            [_compare(left.attributes[name], right.attributes[name]) for name in left.attributes]
        )
    if isinstance(left, TupleType) and isinstance(right, TupleType):
        if len(left.elements) != len(right.elements):
            return 0
        return _majority(list(map(_compare, left.elements, right.elements)))
    return 0


def _majority(orders: list[int]) -> int:
    """The common sign of all non-zero orders, 0 when they disagree."""
    low, high = min(orders, default=0), max(orders, default=0)
    return 0 if low < 0 < high else -1 if low < 0 else 1 if high > 0 else 0
