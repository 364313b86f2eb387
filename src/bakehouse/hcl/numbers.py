"""HCL numbers: binary floating point with a mantissa of up to 512 bits, as go-cty keeps them in Go's `big.Float`.

A number is a Python `int` (a whole number of full precision, the common case) or a `BigFloat` (everything else:
fractions, infinities, negative zero, and numbers that arrived with fewer bits, which they keep in later arithmetic).
Rounding is to nearest, ties to even, at the larger precision of the operands. Two numbers are equal when they print
equally. Knows nothing of HCL values.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

PRECISION = 512
MAX_DIGITS = 200_000  # longer decimal forms are refused: `1e999999999` must not eat the machine
_MAX_EXPONENT = 2**31 - 1


class NumberError(ArithmeticError):
    """The operation has no result (zero by zero), or the number is too long to be written."""


class BigFloat:
    """(-1)**negative * mantissa * 2**exponent with `precision` bits. The mantissa is odd, or 0 for zero; `infinite`
    numbers have a mantissa of 1. Build through `make`, which rounds and prefers `int`."""

    __slots__ = ("exponent", "infinite", "mantissa", "negative", "precision")

    def __init__(
        self, negative: bool, mantissa: int, exponent: int, precision: int, infinite: bool = False
    ) -> None:
        self.negative = negative
        self.mantissa = mantissa
        self.exponent = exponent
        self.precision = precision
        self.infinite = infinite

    def __repr__(self) -> str:
        sign = "-" if self.negative else ""
        if self.infinite:
            return f"{sign}Inf"
        return f"{sign}{self.mantissa:#x}p{self.exponent}/{self.precision}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (int, BigFloat)) and equal(self, other)

    def __hash__(self) -> int:
        if not self.infinite and self.exponent >= 0:
            return (
                hash(to_int(self))
                if self.exponent < 4096
                else hash(self.exponent + self.mantissa.bit_length())
            )
        return hash(to_text(self)) if self.exponent > -4096 else 1


if TYPE_CHECKING:
    Number: TypeAlias = int | BigFloat
else:
    Number = "int | BigFloat"

INFINITY = BigFloat(False, 1, 0, PRECISION, True)
NEGATIVE_INFINITY = BigFloat(True, 1, 0, PRECISION, True)


def _round(mantissa: int, exponent: int, precision: int, sticky: bool = False) -> tuple[int, int]:
    """Mantissa and exponent rounded to `precision` bits; `sticky` says that a non-zero remainder follows."""
    excess = mantissa.bit_length() - precision
    if excess > 0:
        rest = mantissa & ((1 << excess) - 1)
        mantissa >>= excess
        exponent += excess
        half = 1 << (excess - 1)
        if rest > half or (rest == half and (sticky or mantissa & 1)):
            mantissa += 1
    return mantissa, exponent


def make(negative: bool, mantissa: int, exponent: int, precision: int, sticky: bool = False) -> Number:
    """The number rounded to `precision` bits; an `int` when it is whole, has full precision and a moderate size."""
    if mantissa == 0:
        return BigFloat(negative, 0, 0, precision) if negative or precision != PRECISION else 0
    mantissa, exponent = _round(mantissa, exponent, precision, sticky)
    zeros = (mantissa & -mantissa).bit_length() - 1
    mantissa >>= zeros
    exponent += zeros
    size = mantissa.bit_length() + exponent
    if size > _MAX_EXPONENT:
        return BigFloat(negative, 1, 0, precision, True)
    if size < -_MAX_EXPONENT:
        return BigFloat(negative, 0, 0, precision)
    if exponent >= 0 and size <= PRECISION and precision == PRECISION:
        return -(mantissa << exponent) if negative else mantissa << exponent
    return BigFloat(negative, mantissa, exponent, precision)


def _parts(number: Number) -> BigFloat:
    if isinstance(number, int):
        return BigFloat(number < 0, abs(number), 0, PRECISION)
    return number


def from_int(value: int) -> Number:
    """A whole number of full precision, rounded if it has more than 512 bits."""
    return value if value.bit_length() <= PRECISION else make(value < 0, abs(value), 0, PRECISION)


def from_int64(value: int) -> Number:
    """A number as made from a machine integer: 64 bits of precision in later arithmetic."""
    return make(value < 0, abs(value), 0, 64)


def from_float(value: float) -> Number:
    """A number as made from a 64-bit float: 53 bits of precision. Raises NumberError for NaN."""
    import math

    if math.isnan(value):
        raise NumberError("not a number")
    negative = math.copysign(1.0, value) < 0
    if math.isinf(value):
        return BigFloat(negative, 1, 0, 53, True)
    numerator, denominator = abs(value).as_integer_ratio()
    return make(negative, numerator, 1 - denominator.bit_length(), 53)


def precision(number: Number) -> int:
    return PRECISION if isinstance(number, int) else number.precision


def sign(number: Number) -> int:
    """-1, 0 or 1; zero of either sign gives 0."""
    if isinstance(number, int):
        return (number > 0) - (number < 0)
    if number.mantissa == 0:
        return 0
    return -1 if number.negative else 1


def is_negative(number: Number) -> bool:
    """Whether the sign bit is set (true for negative zero)."""
    return number < 0 if isinstance(number, int) else number.negative


def is_infinite(number: Number) -> bool:
    return not isinstance(number, int) and number.infinite


def is_integer(number: Number) -> bool:
    """Whether the number is whole (infinities are not)."""
    return isinstance(number, int) or (not number.infinite and number.exponent >= 0)


def to_int(number: Number) -> int:
    """The number with its fraction cut off. Raises NumberError for infinities and absurdly large numbers."""
    if isinstance(number, int):
        return number
    if number.infinite or number.exponent > 4 * MAX_DIGITS:
        raise NumberError("the number is too large")
    value = (
        number.mantissa << number.exponent
        if number.exponent >= 0
        else number.mantissa >> min(-number.exponent, number.mantissa.bit_length())
    )
    return -value if number.negative else value


def to_int64(number: Number) -> tuple[int, bool]:
    """The nearest 64-bit integer towards zero, and whether it is exact."""
    if not isinstance(number, int) and (
        number.infinite or number.mantissa.bit_length() + number.exponent > 64
    ):
        return (-(2**63) if number.negative else 2**63 - 1), False
    value = to_int(number)
    if value > 2**63 - 1:
        return 2**63 - 1, False
    if value < -(2**63):
        return -(2**63), False
    return value, is_integer(number)


def to_float(number: Number) -> float:
    """The nearest 64-bit float, infinite when out of range."""
    parts = _parts(number)
    signum = -1.0 if parts.negative else 1.0
    if parts.infinite:
        return signum * float("inf")
    bits = parts.mantissa.bit_length()
    size = bits + parts.exponent
    if size > 1024:
        return signum * float("inf")
    if size < -1080:
        return signum * 0.0
    if parts.exponent >= 0:
        try:
            return signum * float(parts.mantissa << parts.exponent)
        except OverflowError:
            return signum * float("inf")
    return signum * (parts.mantissa / (1 << -parts.exponent))


def add(left: Number, right: Number) -> Number:
    """The sum. Raises NumberError for infinity minus infinity."""
    if isinstance(left, int) and isinstance(right, int):
        return from_int(left + right)
    a, b = _parts(left), _parts(right)
    bits = max(a.precision, b.precision)
    if a.infinite or b.infinite:
        if a.infinite and b.infinite and a.negative != b.negative:
            raise NumberError("can't compute sum of opposing infinities")
        return BigFloat((a if a.infinite else b).negative, 1, 0, bits, True)
    if a.mantissa == 0 and b.mantissa == 0:
        return make(a.negative and b.negative, 0, 0, bits)
    if a.mantissa == 0 or b.mantissa == 0:
        one = b if a.mantissa == 0 else a
        return make(one.negative, one.mantissa, one.exponent, bits)
    return _add_finite(a, b, bits)


def _add_finite(a: BigFloat, b: BigFloat, bits: int) -> Number:
    if a.exponent < b.exponent:
        a, b = b, a
    gap = a.exponent - b.exponent
    if gap > b.mantissa.bit_length() + 2 * bits + 4:
        # b is far below the last bit of a: all that matters is on which side of a it lies.
        mantissa = (a.mantissa << (bits + 4)) + (1 if a.negative == b.negative else -1)
        return make(a.negative, mantissa, a.exponent - bits - 4, bits)
    mine = a.mantissa << gap
    total = (-mine if a.negative else mine) + (-b.mantissa if b.negative else b.mantissa)
    return make(total < 0, abs(total), b.exponent, bits)


def negate(number: Number) -> Number:
    if isinstance(number, int):
        return -number if number else BigFloat(True, 0, 0, PRECISION)
    if number.infinite:
        return BigFloat(not number.negative, 1, 0, number.precision, True)
    return make(not number.negative, number.mantissa, number.exponent, number.precision)


def absolute(number: Number) -> Number:
    return negate(number) if is_negative(number) else number


def subtract(left: Number, right: Number) -> Number:
    """The difference. Raises NumberError as `add`."""
    if isinstance(left, int) and isinstance(right, int):
        return from_int(left - right)
    return add(left, negate(right))


def multiply(left: Number, right: Number) -> Number:
    """The product, kept exact up to 512 bits even when the operands have fewer.

    Raises NumberError for zero times infinity.
    """
    if isinstance(left, int) and isinstance(right, int) and left and right:
        return from_int(left * right)
    return _multiply(left, right, None)


def _multiply(left: Number, right: Number, bits: int | None) -> Number:
    a, b = _parts(left), _parts(right)
    negative = a.negative != b.negative
    if a.infinite or b.infinite:
        if a.mantissa == 0 or b.mantissa == 0:
            raise NumberError("can't multiply zero by infinity")
        return BigFloat(negative, 1, 0, bits or PRECISION, True)
    if bits is not None:
        return make(negative, a.mantissa * b.mantissa, a.exponent + b.exponent, bits)
    mantissa, exponent = _round(a.mantissa * b.mantissa, a.exponent + b.exponent, PRECISION)
    needed = mantissa.bit_length() - ((mantissa & -mantissa).bit_length() - 1) if mantissa else 0
    return make(negative, mantissa, exponent, max(a.precision, b.precision, needed))


def divide(left: Number, right: Number) -> Number:
    """The quotient; a number by zero is infinite. Raises NumberError for 0/0 and infinity by infinity."""
    if isinstance(left, int) and isinstance(right, int) and right and left and left % right == 0:
        return left // right
    a, b = _parts(left), _parts(right)
    bits = max(a.precision, b.precision)
    negative = a.negative != b.negative
    if (a.mantissa == 0 and b.mantissa == 0) or (a.infinite and b.infinite):
        raise NumberError("can't divide zero by zero or infinity by infinity")
    if a.mantissa == 0 or b.infinite:
        return make(negative, 0, 0, bits)
    if a.infinite or b.mantissa == 0:
        return BigFloat(negative, 1, 0, bits, True)
    return _quotient(negative, a.mantissa, a.exponent, b.mantissa, b.exponent, bits)


def _quotient(negative: bool, upper: int, up: int, lower: int, low: int, bits: int) -> Number:
    shift = max(0, bits + 2 + lower.bit_length() - upper.bit_length())
    quotient, rest = divmod(upper << shift, lower)
    if rest:
        # One more bit stands for the remainder, so that a tie is not mistaken for one.
        quotient = quotient << 1 | 1
        shift += 1
    return make(negative, quotient, up - low - shift, bits)


def modulo(left: Number, right: Number) -> Number:
    """The remainder with the sign of `left`; `left` itself when `right` is zero. Raises NumberError for infinities."""
    if isinstance(left, int) and isinstance(right, int) and right:
        rest = abs(left) % abs(right)
        return -rest if left < 0 else rest
    if sign(right) == 0:
        return left
    if is_infinite(left) or is_infinite(right):
        raise NumberError("can't use modulo with zero and infinity")
    whole = to_int(divide(left, right))
    bits = precision(left)
    rounded = make(whole < 0, abs(whole), 0, bits)
    product = _multiply(right, rounded, bits)
    difference = _parts(subtract(left, product))
    return make(difference.negative, difference.mantissa, difference.exponent, bits)


def compare(left: Number, right: Number) -> int:
    """-1, 0 or 1 by value."""
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    signs = sign(left), sign(right)
    if signs[0] != signs[1]:
        return -1 if signs[0] < signs[1] else 1
    if signs[0] == 0:
        return 0
    a, b = _parts(left), _parts(right)
    if a.infinite or b.infinite:
        return 0 if a.infinite and b.infinite else (signs[0] if a.infinite else -signs[0])
    sizes = a.mantissa.bit_length() + a.exponent, b.mantissa.bit_length() + b.exponent
    if sizes[0] != sizes[1]:
        return signs[0] if sizes[0] > sizes[1] else -signs[0]
    low = min(a.exponent, b.exponent)
    mine, other = a.mantissa << (a.exponent - low), b.mantissa << (b.exponent - low)
    return signs[0] * ((mine > other) - (mine < other))


def equal(left: Number, right: Number) -> bool:
    """Whether both numbers are written the same way (the sign of zero aside)."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    if sign(left) != sign(right):
        return False
    if compare(left, right) == 0:
        return True
    if precision(left) == precision(right) or is_integer(left) or is_integer(right):
        return False
    return to_text(left) == to_text(right)


class OrderKey:
    """A sort key that orders numbers by value."""

    __slots__ = ("number",)

    def __init__(self, number: Number) -> None:
        self.number = number

    def __lt__(self, other: OrderKey) -> bool:
        return compare(self.number, other.number) < 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderKey) and compare(self.number, other.number) == 0

    __hash__ = None  # type: ignore[assignment]


def parse(text: str) -> Number | None:
    """The number that a decimal text stands for (`12`, `-1.5`, `+.5`, `1e3`, `2p10`, `Inf`), None if it is none."""
    if text.isdigit() and text.isascii() and len(text) < 150:
        return int(text)
    negative = text[:1] == "-"
    body = text[1:] if text[:1] in ("-", "+") else text
    if body in ("Inf", "inf"):
        return NEGATIVE_INFINITY if negative else INFINITY
    split = _split_decimal(body)
    if split is None:
        return None
    digits, fraction_digits, exponent, binary = split
    mantissa = _int_of_digits(digits)
    if mantissa == 0:
        return make(negative, 0, 0, PRECISION)
    five = (0 if binary else exponent) - fraction_digits
    two = exponent - fraction_digits
    if abs(two) > _MAX_EXPONENT:
        return None
    if five == 0:
        return make(negative, mantissa, two, PRECISION)
    power, power_exponent = _power_of_five(abs(five))
    if five < 0:
        return _quotient(negative, mantissa, two, power, power_exponent, PRECISION)
    return make(negative, mantissa * power, two + power_exponent, PRECISION)


def _split_decimal(body: str) -> tuple[str, int, int, bool] | None:
    """(digits, how many of them follow the point, exponent, whether it is one of two)."""
    exponent, binary = 0, False
    for index, char in enumerate(body):
        if char in "eEpP":
            digits = body[index + 1 :]
            digits = digits[1:] if digits[:1] in ("+", "-") else digits
            if not (digits.isascii() and digits.isdigit()) or len(digits.lstrip("0")) > 18:
                return None
            exponent, binary = int(body[index + 1 :]), char in "pP"
            body = body[:index]
            break
    whole, point, fraction = body.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or (point and "." in fraction):
        return None
    return digits, len(fraction), exponent, binary


def _power_of_five(power: int) -> tuple[int, int]:
    """5**power as (mantissa, exponent), with the 576 bits that Go's parser gives it."""
    if power <= 27:
        return 5**power, 0
    mantissa, exponent = 5**27, 0
    power -= 27
    square, square_exponent = 5, 0
    while power:
        if power & 1:
            mantissa, exponent = _round(mantissa * square, exponent + square_exponent, PRECISION + 64)
        square, square_exponent = _round(square * square, 2 * square_exponent, PRECISION + 128)
        power >>= 1
    return mantissa, exponent


_CHUNK = 4000  # below the interpreter's limit on conversions between int and decimal text


def _int_of_digits(digits: str) -> int:
    if len(digits) <= _CHUNK:
        return int(digits)
    half = len(digits) // 2
    power: int = 10**half
    return _int_of_digits(digits[:-half]) * power + _int_of_digits(digits[-half:])


def digits_of(value: int) -> str:
    """The decimal digits of a whole number that is not negative, of any length."""
    size = value.bit_length() * 30103 // 100000 + 1
    if size > 8 * MAX_DIGITS:
        raise NumberError("the number is too long to be written in decimal")
    if size <= _CHUNK:
        return str(value)
    half = size // 2
    upper, lower = divmod(value, 10**half)
    return digits_of(upper) + digits_of(lower).rjust(half, "0")


def _decimal(mantissa: int, exponent: int) -> tuple[str, int]:
    """mantissa * 2**exponent as (digits without zeros at either end, position of the decimal point)."""
    if mantissa == 0:
        return "", 0
    if exponent >= 0:
        digits = digits_of(mantissa << exponent)
        point = len(digits)
    else:
        digits = digits_of(mantissa * 5**-exponent)
        point = len(digits) + exponent
    return digits.rstrip("0"), point


def _shortest(number: BigFloat) -> tuple[str, int]:
    """The fewest digits that read back as the number at its precision, with the position of the point."""
    # Digits are compared by their place in each number's own row, as Go does, also where 1 and 0.99… meet.
    if number.mantissa == 0:
        return "", 0
    if abs(number.exponent) + number.mantissa.bit_length() > 3 * MAX_DIGITS:
        raise NumberError("the number is too long to be written in decimal")
    digits, point = _decimal(number.mantissa, number.exponent)
    shift = number.precision + 1 - number.mantissa.bit_length()
    mantissa, exponent = number.mantissa << shift, number.exponent - shift
    lower, _ = _decimal(mantissa - 1, exponent)
    upper, _ = _decimal(mantissa + 1, exponent)
    inclusive = mantissa & 2 == 0
    for index, digit in enumerate(digits):
        low = lower[index] if index < len(lower) else "0"
        high = upper[index] if index < len(upper) else "0"
        down = low != digit or (inclusive and index + 1 == len(lower))
        up = digit != high and (inclusive or chr(ord(digit) + 1) < high or index + 1 < len(upper))
        if down and up:
            return _round_decimal(digits, point, index + 1)
        if down:
            return digits[: index + 1].rstrip("0"), point
        if up:
            return _round_up(digits, point, index + 1)
    return digits, point


def _round_up(digits: str, point: int, count: int) -> tuple[str, int]:
    if count <= 0:
        return "1", point + 1
    kept = digits_of(_int_of_digits(digits[:count]) + 1)
    return kept.rstrip("0"), point + len(kept) - count


def _round_decimal(digits: str, point: int, count: int) -> tuple[str, int]:
    """Round to `count` digits, half to even."""
    if count < 0:
        return "", 0
    if count >= len(digits):
        return digits, point
    rest = digits[count]
    if rest > "5" or (
        rest == "5" and (count + 1 < len(digits) or (count > 0 and ord(digits[count - 1]) & 1))
    ):
        return _round_up(digits, point, count)
    kept = digits[:count].rstrip("0")
    return kept, point if kept else 0


def to_text(number: Number) -> str:
    """The shortest decimal text that reads back equally, never in exponent form: `0.1`, `1000`, `-0`, `+Inf`.

    Raises NumberError when that would have more than MAX_DIGITS digits or so.
    """
    if isinstance(number, int):
        return str(number)
    prefix = "-" if number.negative else ""
    if number.infinite:
        return f"{prefix or '+'}Inf"
    digits, point = _shortest(number)
    return prefix + _plain(digits, point, max(len(digits) - point, 0))


def _plain(digits: str, point: int, fraction_digits: int) -> str:
    whole = digits[:point].ljust(point, "0") if point > 0 else "0"
    if fraction_digits <= 0:
        return whole or "0"
    padded = "0" * max(-point, 0) + digits[max(point, 0) :] if digits else ""
    return f"{whole}.{padded[:fraction_digits].ljust(fraction_digits, '0')}"


def to_fixed_text(number: Number, fraction_digits: int) -> str:
    """The number with exactly so many digits after the point (Go's `%.Nf`)."""
    return _formatted(number, "f", fraction_digits)


def to_exponent_text(number: Number, fraction_digits: int, letter: str = "e") -> str:
    """As `1.5e+03`; negative `fraction_digits` gives the shortest form."""
    return _formatted(number, letter, fraction_digits)


def to_general_text(number: Number, digits: int, letter: str = "g") -> str:
    """Go's `%g`: plain, or with an exponent where that is shorter; negative `digits` gives the shortest form."""
    return _formatted(number, letter, digits)


def _formatted(number: Number, verb: str, count: int) -> str:
    parts = _parts(number)
    prefix = "-" if parts.negative else ""
    if parts.infinite:
        return f"{prefix or '+'}Inf"
    if abs(parts.exponent) > 3 * MAX_DIGITS:
        raise NumberError("the number is too long to be written in decimal")
    shortest = count < 0
    if shortest:
        digits, point = _shortest(parts)
        count = {"e": len(digits) - 1, "f": max(len(digits) - point, 0)}.get(verb.lower(), len(digits))
    else:
        digits, point = _decimal(parts.mantissa, parts.exponent)
        if verb.lower() == "g" and count == 0:
            count = 1
        keep = {"e": 1 + count, "f": point + count}.get(verb.lower(), count)
        digits, point = _round_decimal(digits, point, keep)
    if verb.lower() == "f":
        return prefix + _plain(digits, point, count)
    if verb.lower() == "e":
        return prefix + _scientific(digits, point, count, verb)
    return prefix + _general(digits, point, count, verb, shortest)


def _scientific(digits: str, point: int, count: int, letter: str) -> str:
    exponent = point - 1 if digits else 0
    text = digits[:1] or "0"
    if count > 0:
        text += "." + digits[1 : count + 1].ljust(count, "0")
    return f"{text}{letter}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(digits: str, point: int, count: int, verb: str, shortest: bool) -> str:
    limit = len(digits) if count > len(digits) >= point else count
    if shortest:
        limit = 6
    exponent = point - 1
    if exponent < -4 or exponent >= limit:
        return _scientific(digits, point, min(count, len(digits)) - 1, "e" if verb == "g" else "E")
    if count > point:
        count = len(digits)
    return _plain(digits, point, max(count - point, 0))
