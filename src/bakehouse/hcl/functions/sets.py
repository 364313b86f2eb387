"""Sets (go-cty `set.go`, `SetProductFunc`)."""

from __future__ import annotations

from bakehouse.hcl.convert import ConversionError, convert, unify
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter
from bakehouse.hcl.types import BOOL, DYNAMIC, ListType, SetType, TupleType, Type
from bakehouse.hcl.values import UNKNOWN, Value, boolean, list_, set_, tuple_, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_ANY_SET = SetType(DYNAMIC)


def _set(name: str) -> Parameter:
    return Parameter(name, _ANY_SET, allow_dynamic=True)


def _has_element(arguments: list[Value], result: Type) -> Value:
    collection, wanted = arguments
    assert isinstance(collection.type, SetType)
    if collection.type.element != wanted.type:
        return boolean(False)
    return boolean(wanted in collection.raw)


def _operation_type(arguments: list[Value]) -> Type:
    types: list[Type] = []
    for argument in arguments:
        if not isinstance(argument.type, SetType):
            return DYNAMIC
        empty = argument.raw is not UNKNOWN and not argument.raw
        if not (empty and argument.type.element is DYNAMIC):
            types.append(argument.type.element)
    if not types:
        return _ANY_SET
    element = unify(types, True)
    if element is None:
        raise FunctionError("given sets must all have compatible element types")
    return SetType(element)


def _operation(
    combine: Callable[[list[Value], list[Value]], list[Value]], allow_unknown: bool
) -> Callable[[list[Value], Type], Value]:
    def call(arguments: list[Value], result: Type) -> Value:
        current: list[Value] = []
        for index, argument in enumerate(arguments):
            try:
                converted = convert(argument, result)
            except ConversionError as error:
                raise ArgumentError(index, error.message) from None
            if not converted.is_wholly_known():
                return unknown(result)
            current = combine(current, list(converted.raw)) if index else list(converted.raw)
        return set_(current, result.element if isinstance(result, SetType) else DYNAMIC)

    return call


def _union(left: list[Value], right: list[Value]) -> list[Value]:
    return left + right


def _intersection(left: list[Value], right: list[Value]) -> list[Value]:
    kept = set(right)
    return [element for element in left if element in kept]


def _difference(left: list[Value], right: list[Value]) -> list[Value]:
    dropped = set(right)
    return [element for element in left if element not in dropped]


def _symmetric(left: list[Value], right: list[Value]) -> list[Value]:
    return _difference(left, right) + _difference(right, left)


def _product_type(arguments: list[Value]) -> Type:
    if len(arguments) < 2:
        raise FunctionError("at least two arguments are required")
    elements: list[Type] = []
    lists = 0
    for index, argument in enumerate(arguments):
        kind = argument.type
        lists += not isinstance(kind, SetType)
        if isinstance(kind, (SetType, ListType)):
            elements.append(kind.element)
        elif isinstance(kind, TupleType):
            common = unify(kind.elements, True) if kind.elements else DYNAMIC
            if common is None:
                raise ArgumentError(index, "all elements must be of the same type")
            elements.append(common)
        else:
            raise ArgumentError(index, "a set or a list is required")
    rows = TupleType(elements)
    return ListType(rows) if lists == len(arguments) else SetType(rows)


_PRODUCT_LIMIT = 1_000_000


def _product(arguments: list[Value], result: Type) -> Value:
    assert isinstance(result, (ListType, SetType)) and isinstance(result.element, TupleType)
    total = 1
    for argument in arguments:
        if argument.raw is UNKNOWN:
            return unknown(result)
        total *= len(argument.raw)
    if total > _PRODUCT_LIMIT:
        raise FunctionError(f"the product would have {total} elements, more than {_PRODUCT_LIMIT}")
    from itertools import product

    columns = []
    for argument, want in zip(arguments, result.element.elements, strict=True):
        try:
            columns.append([convert(element, want) for element in argument.raw])
        except ConversionError as error:
            raise FunctionError(error.message) from None
    rows = [tuple_(row) for row in product(*columns)]
    return (list_ if isinstance(result, ListType) else set_)(rows, result.element)


_TWO = [_set("a"), _set("b")]

FUNCTIONS = {
    "sethaselement": Function([_set("set"), any_parameter("elem", allow_dynamic=True)], BOOL, _has_element),
    "setunion": Function(
        [_set("first_set")], _operation_type, _operation(_union, True), variadic=_set("other_sets")
    ),
    "setintersection": Function(
        [_set("first_set")], _operation_type, _operation(_intersection, False), variadic=_set("other_sets")
    ),
    "setsubtract": Function(_TWO, _operation_type, _operation(_difference, False)),
    "setsymmetricdifference": Function(
        [_set("first_set")], _operation_type, _operation(_symmetric, False), variadic=_set("other_sets")
    ),
    "setproduct": Function([], _product_type, _product, variadic=any_parameter("sets", allow_unknown=True)),
}
