"""Lists, tuples, maps and objects (go-cty `collection.go`, `sequence.go`, buildx's `indexof`)."""

from __future__ import annotations

from bakehouse.go.text import quote
from bakehouse.hcl import numbers
from bakehouse.hcl.convert import ConversionError, convert, unify
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter, number_parameter, text_parameter, whole
from bakehouse.hcl.limits import check_elements
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
    boolean,
    equals,
    integer,
    list_,
    map_,
    object_,
    tuple_,
    unknown,
)

_STRINGS = ListType(STRING)
_ANY_LIST = ListType(DYNAMIC)
_RANGE_LIMIT = 1024


def _is_sequence(type_: Type) -> bool:
    return isinstance(type_, (ListType, TupleType))


def _indexable(arguments: list[Value]) -> Type:
    if arguments[0].type.kind not in ("tuple", "list", "map", "dynamic"):
        raise FunctionError("collection must be a list, a map or a tuple")
    return BOOL


def _has_index(collection: Value, key: Value) -> bool:
    if isinstance(collection.type, MapType):
        return key.type is STRING and key.raw in collection.raw
    if key.type is not NUMBER or not numbers.is_integer(key.raw) or numbers.sign(key.raw) < 0:
        return False
    return numbers.compare(key.raw, len(collection.raw)) < 0


def _index_type(arguments: list[Value]) -> Type:
    collection, key = arguments[0].type, arguments[1]
    if isinstance(collection, MapType):
        if key.type not in (STRING, DYNAMIC):
            raise FunctionError("key for map must be string")
        return collection.element
    if not isinstance(collection, (TupleType, ListType)):
        raise FunctionError("collection must be a list, a map or a tuple")
    if key.type not in (NUMBER, DYNAMIC):
        raise FunctionError(f"key for {collection.kind} must be number")
    if isinstance(collection, ListType):
        return collection.element
    if key.raw is UNKNOWN:
        return DYNAMIC
    try:
        place = whole(key)
    except FunctionError as error:
        raise FunctionError(f"invalid key for tuple: {error.message}") from None
    if not 0 <= place < len(collection.elements):
        raise FunctionError(f"key must be between 0 and {len(collection.elements)} inclusive")
    return collection.elements[place]


def _index(arguments: list[Value], result: Type) -> Value:
    collection, key = arguments
    if not _has_index(collection, key):
        raise FunctionError("invalid index")
    if isinstance(collection.type, MapType):
        found: Value = collection.raw[key.raw]
    else:
        found = collection.raw[numbers.to_int(key.raw)]
    return found


def _length_type(arguments: list[Value]) -> Type:
    if arguments[0].type.kind not in ("tuple", "list", "map", "set", "dynamic"):
        raise FunctionError("collection must be a list, a map or a tuple")
    return NUMBER


def _length(arguments: list[Value], result: Type) -> Value:
    argument = arguments[0]
    if isinstance(argument.type, TupleType):
        return integer(len(argument.type.elements))
    return unknown(NUMBER) if argument.raw is UNKNOWN else integer(len(argument.raw))


def _element_place(arguments: list[Value], length: int) -> int:
    try:
        place = whole(arguments[1])
    except FunctionError as error:
        raise FunctionError(f"invalid index: {error.message}") from None
    if length == 0:
        raise FunctionError("cannot use element function with an empty list")
    return place % length


def _element_type(arguments: list[Value]) -> Type:
    kind = arguments[0].type
    if isinstance(kind, ListType):
        return kind.element
    if isinstance(kind, TupleType):
        if arguments[1].raw is UNKNOWN:
            return DYNAMIC
        return kind.elements[_element_place(arguments, len(kind.elements))]
    raise FunctionError(f"cannot read elements from {kind.friendly_name()}")


def _element(arguments: list[Value], result: Type) -> Value:
    elements = arguments[0].raw
    found: Value = elements[_element_place(arguments, len(elements))]
    return found


def _coalescelist_type(arguments: list[Value]) -> Type:
    if not arguments:
        raise FunctionError("at least one argument is required")
    for argument in arguments:
        if argument.raw is UNKNOWN:
            return DYNAMIC
        if not _is_sequence(argument.type):
            raise FunctionError("coalescelist arguments must be lists or tuples")
    first = arguments[0].type
    return first if all(argument.type == first for argument in arguments) else DYNAMIC


def _coalescelist(arguments: list[Value], result: Type) -> Value:
    for argument in arguments:
        if argument.raw is UNKNOWN:
            return unknown(result)
        if argument.raw:
            return argument
    raise FunctionError("no non-null arguments")


def _compact(arguments: list[Value], result: Type) -> Value:
    if not arguments[0].is_wholly_known():
        return unknown(result)
    return list_([element for element in arguments[0].raw if element.raw], STRING)


def _contains(arguments: list[Value], result: Type) -> Value:
    collection, wanted = arguments
    if collection.type.kind not in ("list", "tuple", "set"):
        raise FunctionError("argument must be list, tuple, or set")
    answers = [equals(wanted, element) for element in collection.raw]
    if True in answers:
        return TRUE
    return unknown(BOOL) if None in answers else FALSE


def _same_type(arguments: list[Value]) -> Type:
    return arguments[0].type


def _list_element(type_: Type) -> Type:
    return type_.element if isinstance(type_, (ListType, SetType, MapType)) else DYNAMIC


def _distinct(arguments: list[Value], result: Type) -> Value:
    if not arguments[0].is_wholly_known():
        return unknown(result)
    kept = dict.fromkeys(arguments[0].raw)
    nulls = [element for element in kept if element.raw is None]
    return list_(
        [element for element in kept if element.raw is not None or element is nulls[0]], _list_element(result)
    )


def _chunklist(arguments: list[Value], result: Type) -> Value:
    try:
        size = whole(arguments[1])
    except FunctionError as error:
        raise FunctionError(f"invalid size: {error.message}") from None
    if size < 0:
        raise FunctionError("the size argument must be positive")
    elements = arguments[0].raw
    if not elements:
        return list_((), arguments[0].type)
    if size == 0:
        return list_((arguments[0],))
    return list_([list_(elements[at : at + size]) for at in range(0, len(elements), size)])


def _flattened(value: Value) -> list[Value] | None:
    """The elements with nested sequences opened; None when that is not known yet."""
    if value.raw is UNKNOWN:
        return None
    out: list[Value] = []
    known = True
    for element in value.raw:
        if element.type.kind == "dynamic" and element.raw is UNKNOWN:
            known = False
        elif element.raw is not None and element.type.kind in ("list", "set", "tuple"):
            inner = _flattened(element)
            if inner is None:
                known = False
            else:
                out += inner
        else:
            out.append(element)
    return out if known else None


def _flatten_type(arguments: list[Value]) -> Type:
    if not arguments[0].is_wholly_known():
        return DYNAMIC
    if arguments[0].type.kind not in ("list", "set", "tuple"):
        raise FunctionError("can only flatten lists, sets and tuples")
    out = _flattened(arguments[0])
    return DYNAMIC if out is None else TupleType([element.type for element in out])


def _flatten(arguments: list[Value], result: Type) -> Value:
    out = _flattened(arguments[0])
    return unknown(result) if out is None else tuple_(out)


def _keys_type(arguments: list[Value]) -> Type:
    kind = arguments[0].type
    if isinstance(kind, MapType):
        return _STRINGS
    if isinstance(kind, ObjectType):
        return TupleType([STRING] * len(kind.attributes))
    raise ArgumentError(0, "must have map or object type")


def _keys(arguments: list[Value], result: Type) -> Value:
    kind = arguments[0].type
    if isinstance(kind, ObjectType):
        return tuple_([Value(STRING, name) for name in kind.attributes])
    if arguments[0].raw is UNKNOWN:
        return unknown(result)
    return list_([Value(STRING, name) for name in arguments[0].raw], STRING)


def _lookup_type(arguments: list[Value]) -> Type:
    kind, key, default = arguments[0].type, arguments[1], arguments[2]
    if isinstance(kind, ObjectType):
        if key.raw is UNKNOWN:
            return DYNAMIC
        return kind.attributes.get(key.raw, default.type)
    if not isinstance(kind, MapType):
        raise ArgumentError(0, "lookup() requires a map as the first argument")
    try:
        convert(default, kind.element)
    except ConversionError:
        message = "the default value must have the same type as the map elements"
        raise ArgumentError(2, message) from None
    return kind.element


def _lookup(arguments: list[Value], result: Type) -> Value:
    if not arguments[0].is_wholly_known():
        return unknown(result)
    found: Value | None = arguments[0].raw.get(arguments[1].raw)
    if found is not None:
        return found
    try:
        return convert(arguments[2], result)
    except ConversionError as error:
        raise FunctionError(error.message) from None


def _merge_type(arguments: list[Value]) -> Type:
    attributes: dict[str, Type] = {}
    known = True
    for argument in arguments:
        kind = argument.type
        if kind is DYNAMIC:
            return DYNAMIC
        if not isinstance(kind, (MapType, ObjectType)):
            raise FunctionError(f"arguments must be maps or objects, got {quote(kind.friendly_name())}")
        if argument.raw is None:
            continue
        if isinstance(kind, ObjectType):
            attributes.update(kind.attributes)
        elif argument.raw is UNKNOWN:
            known = False
        else:
            attributes.update(dict.fromkeys(argument.raw, kind.element))
    first = arguments[0].type if arguments else ObjectType({})
    if all(argument.type == first for argument in arguments):
        return first
    return ObjectType(attributes) if known else DYNAMIC


def _merge(arguments: list[Value], result: Type) -> Value:
    out: dict[str, Value] = {}
    for argument in arguments:
        if argument.raw is not None:
            out.update(argument.raw)
    return map_(out, result.element) if isinstance(result, MapType) else object_(out)


def _reverselist_type(arguments: list[Value]) -> Type:
    kind = arguments[0].type
    if isinstance(kind, TupleType):
        return TupleType(reversed(kind.elements))
    if isinstance(kind, (ListType, SetType)):
        return ListType(kind.element)
    raise ArgumentError(0, f"can only reverse list or tuple values, not {kind.friendly_name()}")


def _reverselist(arguments: list[Value], result: Type) -> Value:
    elements = tuple(reversed(arguments[0].raw))
    return tuple_(elements) if isinstance(result, TupleType) else list_(elements, _list_element(result))


def _slice_bound(arguments: list[Value], index: int, name: str, length: int | None) -> int | None:
    if arguments[index].raw is UNKNOWN:
        return None
    try:
        bound = whole(arguments[index])
    except FunctionError as error:
        raise ArgumentError(index, f"invalid {name} index: {error.message}") from None
    if bound < 0:
        raise ArgumentError(index, f"{name} index must not be less than zero")
    if length is not None and bound > length:
        raise ArgumentError(index, f"{name} index must not be greater than the length of the list")
    return bound


def _slice_bounds(arguments: list[Value]) -> tuple[int | None, int | None]:
    kind, raw = arguments[0].type, arguments[0].raw
    length = len(kind.elements) if isinstance(kind, TupleType) else None if raw is UNKNOWN else len(raw)
    start = _slice_bound(arguments, 1, "start", length)
    end = _slice_bound(arguments, 2, "end", length)
    if start is not None and end is not None and start > end:
        raise ArgumentError(1, "start index must not be greater than end index")
    return start, end


def _slice_type(arguments: list[Value]) -> Type:
    kind = arguments[0].type
    if isinstance(kind, SetType):
        raise ArgumentError(
            0,
            "cannot slice a set, because its elements do not have indices; explicitly convert to a list if the "
            "ordering of the result is not important",
        )
    if not _is_sequence(kind):
        raise ArgumentError(0, "must be a list or tuple value")
    start, end = _slice_bounds(arguments)
    if not isinstance(kind, TupleType):
        return kind
    return DYNAMIC if start is None or end is None else TupleType(kind.elements[start:end])


def _slice(arguments: list[Value], result: Type) -> Value:
    start, end = _slice_bounds(arguments)
    elements = arguments[0].raw[start:end]
    return tuple_(elements) if isinstance(result, TupleType) else list_(elements, _list_element(result))


def _values_type(arguments: list[Value]) -> Type:
    kind = arguments[0].type
    if isinstance(kind, MapType):
        return ListType(kind.element)
    if isinstance(kind, ObjectType):
        return TupleType(kind.attributes.values())
    raise FunctionError("values() requires a map as the first argument")


def _values(arguments: list[Value], result: Type) -> Value:
    elements = arguments[0].elements()
    return tuple_(elements) if isinstance(result, TupleType) else list_(elements, _list_element(result))


def _zipmap_type(arguments: list[Value]) -> Type:
    keys, values = arguments[0], arguments[1].type
    if isinstance(values, ListType):
        return MapType(values.element)
    if not isinstance(values, TupleType):
        raise FunctionError("values argument must be a list or tuple value")
    if not keys.is_wholly_known():
        return DYNAMIC
    _check_counts(len(keys.raw), len(values.elements))
    return ObjectType(dict(zip(_zipmap_keys(keys), values.elements, strict=True)))


def _check_counts(keys: int, values: int) -> None:
    if keys != values:
        raise FunctionError(f"number of keys ({keys}) does not match number of values ({values})")


def _zipmap_keys(keys: Value) -> list[str]:
    for index, key in enumerate(keys.raw):
        if key.raw is None:
            raise FunctionError(f"keys list has null value at index {index}")
    return [key.raw for key in keys.raw]


def _zipmap(arguments: list[Value], result: Type) -> Value:
    if not arguments[0].is_wholly_known():
        return unknown(result)
    _check_counts(len(arguments[0].raw), len(arguments[1].raw))
    out = dict(zip(_zipmap_keys(arguments[0]), arguments[1].raw, strict=True))
    return map_(out, result.element) if isinstance(result, MapType) else object_(out)


def _concat_type(arguments: list[Value]) -> Type:
    if not arguments:
        raise FunctionError("at least one argument is required")
    types = [argument.type for argument in arguments]
    if all(isinstance(kind, ListType) for kind in types):
        common = unify(types, True)
        if common is not None:
            return common
    elements: list[Type] = []
    for index, argument in enumerate(arguments):
        kind = argument.type
        if isinstance(kind, TupleType):
            elements += kind.elements
        elif isinstance(kind, ListType):
            if argument.raw is UNKNOWN:
                return DYNAMIC
            elements += [kind.element] * len(argument.raw)
        else:
            raise ArgumentError(index, f"all arguments must be lists or tuples; got {kind.friendly_name()}")
    return TupleType(elements)


def _concat(arguments: list[Value], result: Type) -> Value:
    elements: list[Value] = []
    for index, argument in enumerate(arguments):
        if isinstance(result, ListType):
            try:
                argument = convert(argument, result)
            except ConversionError as error:
                raise ArgumentError(index, error.message) from None
        check_elements(len(elements) + len(argument.raw))
        elements += argument.raw
    return list_(elements, result.element) if isinstance(result, ListType) else tuple_(elements)


def _range_bounds(arguments: list[Value]) -> tuple[numbers.Number, numbers.Number, numbers.Number]:
    given = [argument.raw for argument in arguments]
    if len(given) == 1:
        given.insert(0, numbers.from_int64(0))
    if len(given) == 2:
        given.append(numbers.from_int64(-1 if numbers.compare(given[1], given[0]) < 0 else 1))
    if len(given) != 3:
        raise FunctionError("must have one, two, or three arguments")
    return given[0], given[1], given[2]


def _range(arguments: list[Value], result: Type) -> Value:
    start, end, step = _range_bounds(arguments)
    direction = numbers.sign(step)
    down = direction < 0
    ahead = numbers.compare(end, start)
    if down and ahead > 0:
        raise ArgumentError(1, "end must be less than start when step is negative")
    if not down and ahead < 0:
        raise ArgumentError(1, "end must be greater than start when step is positive")
    out: list[Value] = []
    number = start
    while numbers.compare(number, end) * (-1 if down else 1) < 0:
        if len(out) >= _RANGE_LIMIT:
            raise FunctionError(
                "more than 1024 values were generated; either decrease the difference between start and end or use a "
                "smaller step"
            )
        out.append(Value(NUMBER, number))
        number = numbers.add(number, step)
    return list_(out, NUMBER)


def _indexof(arguments: list[Value], result: Type) -> Value:
    collection, wanted = arguments
    if not _is_sequence(collection.type):
        raise FunctionError("argument must be a list or tuple")
    if not collection.raw:
        raise FunctionError("cannot search an empty list")
    for index, element in enumerate(collection.raw):
        answer = equals(element, wanted)
        if answer is None:
            return unknown(NUMBER)
        if answer:
            return integer(index)
    raise FunctionError("item not found")


def _hasindex(arguments: list[Value], result: Type) -> Value:
    collection, key = arguments
    if UNKNOWN in (collection.raw, key.raw):
        return unknown(BOOL)
    return boolean(_has_index(collection, key))


def _loose(name: str, allow_unknown: bool = False, allow_null: bool = False) -> Parameter:
    return any_parameter(name, allow_dynamic=True, allow_unknown=allow_unknown, allow_null=allow_null)


_LIST = Parameter("list", _ANY_LIST)

FUNCTIONS = {
    "hasindex": Function([_loose("collection"), _loose("key")], _indexable, _hasindex),
    "index": Function([any_parameter("collection"), _loose("key")], _index_type, _index),
    "length": Function([_loose("collection", True)], _length_type, _length),
    "element": Function([any_parameter("list"), number_parameter("index")], _element_type, _element),
    "coalescelist": Function(
        [], _coalescelist_type, _coalescelist, variadic=_loose("vals", True, allow_null=True)
    ),
    "compact": Function([Parameter("list", _STRINGS)], _STRINGS, _compact),
    "contains": Function([any_parameter("list"), any_parameter("value")], BOOL, _contains),
    "distinct": Function([_LIST], _same_type, _distinct),
    "chunklist": Function(
        [_LIST, number_parameter("size")], lambda arguments: ListType(arguments[0].type), _chunklist
    ),
    "flatten": Function([any_parameter("list")], _flatten_type, _flatten),
    "keys": Function([any_parameter("inputMap", allow_unknown=True)], _keys_type, _keys),
    "lookup": Function(
        [any_parameter("inputMap"), text_parameter("key"), any_parameter("default")], _lookup_type, _lookup
    ),
    "merge": Function([], _merge_type, _merge, variadic=_loose("maps", allow_null=True)),
    "reverselist": Function([any_parameter("list")], _reverselist_type, _reverselist),
    "slice": Function(
        [any_parameter("list"), number_parameter("start_index"), number_parameter("end_index")],
        _slice_type,
        _slice,
    ),
    "values": Function([any_parameter("mapping")], _values_type, _values),
    "zipmap": Function([Parameter("keys", _STRINGS), any_parameter("values")], _zipmap_type, _zipmap),
    "concat": Function([], _concat_type, _concat, variadic=any_parameter("seqs")),
    "range": Function([], ListType(NUMBER), _range, variadic=Parameter("params", NUMBER)),
    "indexof": Function([any_parameter("list"), any_parameter("value")], NUMBER, _indexof),
}
