"""Helpers with which the groups declare their functions, and conversions of arguments that several groups need."""

from __future__ import annotations

from bakehouse.hcl import numbers
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.types import DYNAMIC, NUMBER, STRING, Type
from bakehouse.hcl.values import Value, string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = f"value must be a whole number, between {-(2**63)} and {2**63 - 1}"


def text_parameter(name: str = "str") -> Parameter:
    return Parameter(name, STRING)


def number_parameter(name: str = "num") -> Parameter:
    return Parameter(name, NUMBER)


def any_parameter(
    name: str, *, allow_null: bool = False, allow_unknown: bool = False, allow_dynamic: bool = False
) -> Parameter:
    return Parameter(
        name, DYNAMIC, allow_null=allow_null, allow_unknown=allow_unknown, allow_dynamic=allow_dynamic
    )


def text_function(names: str, implementation: Callable[..., str]) -> Function:
    """A function of strings to a string; `names` are the parameters."""

    def call(arguments: list[Value], result: Type) -> Value:
        return string(implementation(*(argument.raw for argument in arguments)))

    return Function([text_parameter(name) for name in names.split()], STRING, call)


def whole(value: Value, index: int | None = None) -> int:
    """The machine integer in a number. Raises FunctionError if there is none, about the argument `index` if given."""
    number, exact = numbers.to_int64(value.raw)
    if not exact:
        raise FunctionError(_WHOLE) if index is None else ArgumentError(index, _WHOLE)
    return number


def real(value: Value) -> float:
    """The 64-bit float nearest to a number. Raises FunctionError when it is out of range."""
    result = numbers.to_float(value.raw)
    if result in (float("inf"), float("-inf")) and not numbers.is_infinite(value.raw):
        bound = f"{int(1.7976931348623157e308)}.000000"
        raise FunctionError(f"value must be between -{bound} and {bound} inclusive")
    return result
