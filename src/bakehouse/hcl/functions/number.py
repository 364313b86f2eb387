"""Arithmetic and comparison (go-cty `number.go`)."""

from __future__ import annotations

from bakehouse.hcl import numbers
from bakehouse.hcl.function import ArgumentError, Function, FunctionError, Parameter
from bakehouse.hcl.functions.build import any_parameter, number_parameter, real, whole
from bakehouse.hcl.types import BOOL, NUMBER, STRING, Type
from bakehouse.hcl.values import UNKNOWN, Value, boolean, integer, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def _operand(name: str, allow_unknown: bool = False) -> Parameter:
    return Parameter(name, NUMBER, allow_dynamic=True, allow_unknown=allow_unknown)


def _arithmetic(
    operation: Callable[[numbers.Number, numbers.Number], numbers.Number], message: str
) -> Function:
    def call(arguments: list[Value], result: Type) -> Value:
        try:
            return Value(NUMBER, operation(arguments[0].raw, arguments[1].raw))
        except numbers.NumberError:
            raise FunctionError(message) from None

    return Function([_operand("a"), _operand("b")], NUMBER, call)


def _comparison(accept: Callable[[int], bool]) -> Function:
    def call(arguments: list[Value], result: Type) -> Value:
        left, right = arguments[0].raw, arguments[1].raw
        if left is UNKNOWN or right is UNKNOWN:
            return unknown(BOOL)
        return boolean(accept(numbers.compare(left, right)))

    return Function([_operand("a", True), _operand("b", True)], BOOL, call)


def _unary(operation: Callable[[numbers.Number], numbers.Number], allow_dynamic: bool = True) -> Function:
    def call(arguments: list[Value], result: Type) -> Value:
        try:
            return Value(NUMBER, operation(arguments[0].raw))
        except numbers.NumberError as error:
            raise FunctionError(str(error)) from None

    return Function([Parameter("num", NUMBER, allow_dynamic=allow_dynamic)], NUMBER, call)


def _extreme(sign: int) -> Function:
    def call(arguments: list[Value], result: Type) -> Value:
        if not arguments:
            raise FunctionError("must pass at least one number")
        best = numbers.INFINITY if sign < 0 else numbers.NEGATIVE_INFINITY
        for argument in arguments:
            if numbers.compare(argument.raw, best) == sign:
                best = argument.raw
        return Value(NUMBER, best)

    return Function([], NUMBER, call, variadic=_operand("numbers"))


def _from_big_int(value: int) -> numbers.Number:
    """Go gives a number made from a big integer as many bits as it needs, but at least 64."""
    return numbers.make(value < 0, abs(value), 0, max(64, value.bit_length()))


def _int(number: numbers.Number) -> numbers.Number:
    if numbers.is_integer(number):
        return number
    return _from_big_int(numbers.to_int(number))


def _rounded(up: bool) -> Callable[[numbers.Number], numbers.Number]:
    def operation(number: numbers.Number) -> numbers.Number:
        if numbers.sign(number) == 0:
            return numbers.make(False, 0, 0, numbers.precision(number))  # not -0
        if numbers.is_integer(number) or numbers.is_infinite(number):
            return number
        value = numbers.to_int(number)
        if up and not numbers.is_negative(number):
            value += 1
        elif not up and numbers.is_negative(number):
            value -= 1
        return numbers.make(value < 0, abs(value), 0, numbers.precision(number))

    return operation


def _from_float(value: float) -> Value:
    try:
        return Value(NUMBER, numbers.from_float(value))
    except numbers.NumberError:
        raise FunctionError("the result is not a number") from None


def _log(arguments: list[Value], result: Type) -> Value:
    from bakehouse.go import floats

    upper, lower = floats.log(real(arguments[0])), floats.log(real(arguments[1]))
    if lower == 0:
        from math import copysign, inf, nan

        quotient = nan if upper == 0 or upper != upper else copysign(inf, upper)
        return _from_float(quotient)
    return _from_float(upper / lower)


def _pow(arguments: list[Value], result: Type) -> Value:
    from bakehouse.go.floats import power

    return _from_float(power(real(arguments[0]), real(arguments[1])))


def _signum(arguments: list[Value], result: Type) -> Value:
    value = whole(arguments[0])
    return integer((value > 0) - (value < 0))


_MAX_PARSED_DIGITS = 10_000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _parseint_type(arguments: list[Value]) -> Type:
    if arguments[0].type is not STRING:
        raise ArgumentError(0, f"first argument must be a string, not {arguments[0].type.friendly_name()}")
    return NUMBER


def _parseint(arguments: list[Value], result: Type) -> Value:
    from bakehouse.go.text import quote

    text, base = arguments[0].raw, whole(arguments[1], 1)
    if not 2 <= base <= 62:
        raise ArgumentError(1, "base must be a whole number between 2 and 62 inclusive")
    digits = text[1:] if text[:1] in ("+", "-") else text
    alphabet = _DIGITS[:base]
    if base <= 36:
        digits = digits.lower() if digits.isascii() else digits
    if not digits or any(char not in alphabet for char in digits):
        raise ArgumentError(0, f"cannot parse {quote(text)} as a base {base} integer")
    if len(digits) > _MAX_PARSED_DIGITS:
        raise ArgumentError(0, f"a number may not have more than {_MAX_PARSED_DIGITS} digits")
    value = 0
    for char in digits:
        value = value * base + alphabet.index(char)
    return Value(NUMBER, _from_big_int(-value if text[0] == "-" else value))


FUNCTIONS = {
    "absolute": _unary(numbers.absolute),
    "add": _arithmetic(numbers.add, "can't compute sum of opposing infinities"),
    "subtract": _arithmetic(numbers.subtract, "can't subtract infinity from itself"),
    "multiply": _arithmetic(numbers.multiply, "can't multiply zero by infinity"),
    "divide": _arithmetic(numbers.divide, "can't divide zero by zero or infinity by infinity"),
    "modulo": _arithmetic(numbers.modulo, "can't use modulo with zero and infinity"),
    "greaterthan": _comparison(lambda order: order > 0),
    "greaterthanorequalto": _comparison(lambda order: order >= 0),
    "lessthan": _comparison(lambda order: order < 0),
    "lessthanorequalto": _comparison(lambda order: order <= 0),
    "negate": _unary(numbers.negate),
    "min": _extreme(-1),
    "max": _extreme(1),
    "int": _unary(_int),
    "ceil": _unary(_rounded(True), False),
    "floor": _unary(_rounded(False), False),
    "log": Function([number_parameter(), number_parameter("base")], NUMBER, _log),
    "pow": Function([number_parameter(), number_parameter("power")], NUMBER, _pow),
    "signum": Function([number_parameter()], NUMBER, _signum),
    "parseint": Function([any_parameter("number"), number_parameter("base")], _parseint_type, _parseint),
}
