"""Logic, equality and `coalesce` (go-cty `bool.go`, `general.go`)."""

from __future__ import annotations

from bakehouse.hcl.convert import ConversionError, convert, unify
from bakehouse.hcl.function import Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter
from bakehouse.hcl.types import BOOL, Type
from bakehouse.hcl.values import UNKNOWN, Value, boolean, equals, unknown


def _bool(name: str) -> Parameter:
    return Parameter(name, BOOL, allow_dynamic=True)


def _and(arguments: list[Value], result: Type) -> Value:
    return boolean(arguments[0].raw and arguments[1].raw)


def _or(arguments: list[Value], result: Type) -> Value:
    return boolean(arguments[0].raw or arguments[1].raw)


def _not(arguments: list[Value], result: Type) -> Value:
    return boolean(not arguments[0].raw)


def _equal(arguments: list[Value], result: Type) -> Value:
    answer = equals(arguments[0], arguments[1])
    return unknown(BOOL) if answer is None else boolean(answer)


def _not_equal(arguments: list[Value], result: Type) -> Value:
    answer = equals(arguments[0], arguments[1])
    return unknown(BOOL) if answer is None else boolean(not answer)


def _coalesce_type(arguments: list[Value]) -> Type:
    found = unify([argument.type for argument in arguments], True)
    if found is None:
        raise FunctionError("all arguments must have the same type")
    return found


def _coalesce(arguments: list[Value], result: Type) -> Value:
    for argument in arguments:
        if argument.raw is UNKNOWN:
            return unknown(result)
        if argument.raw is not None:
            try:
                return convert(argument, result)
            except ConversionError as error:
                raise FunctionError(error.message) from None
    raise FunctionError("no non-null arguments")


def _open(name: str) -> Parameter:
    return any_parameter(name, allow_null=True, allow_unknown=True, allow_dynamic=True)


FUNCTIONS = {
    "and": Function([_bool("a"), _bool("b")], BOOL, _and),
    "or": Function([_bool("a"), _bool("b")], BOOL, _or),
    "not": Function([_bool("val")], BOOL, _not),
    "equal": Function([_open("a"), _open("b")], BOOL, _equal),
    "notequal": Function([_open("a"), _open("b")], BOOL, _not_equal),
    "coalesce": Function([], _coalesce_type, _coalesce, variadic=_open("vals")),
}
