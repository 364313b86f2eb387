"""Comparison, arithmetic and bits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bakehouse.rego.functions.build import Builtin, FunctionFailed, listed, number, text, whole
from bakehouse.rego.values import Boolean, sort_key, truth

#: Bits of an integer, and elements of a range.
_MAX_BITS = 100_000
_MAX_RANGE = 1_000_000


def _simple(value: int | float) -> int | float:
    """A float that is a whole number as one."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def _limited(value: int) -> int:
    if value.bit_length() > _MAX_BITS:
        raise FunctionFailed
    return value


def _minus(left: Any, right: Any) -> Any:
    if isinstance(left, frozenset) and isinstance(right, frozenset):
        return left - right
    return _simple(number(left) - number(right))


def _times(left: Any, right: Any) -> int | float:
    one, other = number(left), number(right)
    if isinstance(one, int) and isinstance(other, int):
        return _limited(one * other) if one.bit_length() + other.bit_length() <= _MAX_BITS else _fail()
    return _simple(one * other)


def _fail() -> int:
    raise FunctionFailed


def _divided(left: Any, right: Any) -> int | float:
    one, other = number(left), number(right)
    if other == 0:
        raise FunctionFailed
    if isinstance(one, int) and isinstance(other, int) and one % other == 0:
        return one // other
    return _simple(one / other)


def _remainder(left: Any, right: Any) -> int:
    one, other = whole(left), whole(right)
    if other == 0:
        raise FunctionFailed
    return int(math.copysign(1, one)) * (abs(one) % abs(other))


def _rounded(value: Any) -> int:
    found = number(value)
    return math.floor(abs(found) + 0.5) * (-1 if found < 0 else 1)


def _shifted(value: Any, by: Any) -> int:
    count = whole(by)
    if count < 0 or count > _MAX_BITS:
        raise FunctionFailed
    return _limited(whole(value) << count)


def _shifted_right(value: Any, by: Any) -> int:
    if whole(by) < 0:
        raise FunctionFailed
    return whole(value) >> whole(by)


def _compare(holds: Callable[[Any, Any], bool]) -> Builtin:
    return Builtin(2, lambda left, right: truth(holds(sort_key(left), sort_key(right))))


def _sum(values: Any) -> int | float:
    return _simple(sum(number(item) for item in listed(values)))


def _product(values: Any) -> int | float:
    out: int | float = 1
    for item in listed(values):
        out = _times(out, item)
    return out


def _range(first: Any, last: Any, step: Any = 1) -> tuple[int, ...]:
    start, end, by = whole(first), whole(last), whole(step)
    if by <= 0 or abs(end - start) // by > _MAX_RANGE:
        raise FunctionFailed
    return tuple(range(start, end + 1, by) if start <= end else range(start, end - 1, -by))


def to_number(value: Any) -> int | float:
    """A number of a text, as Go reads it; null is 0, booleans are 0 and 1."""
    if value is None:
        return 0
    if isinstance(value, Boolean):
        return 1 if value else 0
    if isinstance(value, str):
        try:
            return int(value) if value.strip() == value and value.lstrip("+-").isdigit() else _float(value)
        except (ValueError, OverflowError):
            raise FunctionFailed from None
    return number(value)


def _float(word: str) -> int | float:
    if (
        not word
        or word.strip() != word
        or "_" in word
        or word.lower().lstrip("+-") in ("inf", "infinity", "nan")
    ):
        raise ValueError
    return _simple(float(word))


def _format_int(value: Any, base: Any) -> str:
    digits = {2: "b", 8: "o", 10: "d", 16: "x"}.get(whole(base))
    if digits is None:
        raise FunctionFailed
    return format(int(number(value)), digits)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15, "e": 10**18}
_UNITS |= {f"{unit}i": 1024 ** (at + 1) for at, unit in enumerate("kmgtpe")}


def _split_unit(value: Any) -> tuple[int | float, str]:
    word = text(value).replace('"', "")
    end = 0
    while end < len(word) and (word[end].isdigit() or word[end] in ".+-"):
        end += 1
    if not end or " " in word:
        raise FunctionFailed
    return to_number(word[:end]), word[end:]


def _units(value: Any) -> int | float:
    amount, unit = _split_unit(value)
    if unit == "m":
        return _simple(amount / 1000)
    # Of single letters only milli differs by its case.
    factor = _UNITS.get(unit.lower() if unit != "m" else unit)
    if factor is None:
        raise FunctionFailed
    return _simple(amount * factor)


def _unit_bytes(value: Any) -> int:
    amount, unit = _split_unit(value)
    name = unit.lower().removesuffix("b")
    if name not in _UNITS:
        raise FunctionFailed
    return int(amount * _UNITS[name])


def _extreme(choose: Callable[..., Any]) -> Builtin:
    def pick(values: Any) -> Any:
        found = listed(values)
        if not found:
            raise FunctionFailed
        return choose(found, key=sort_key)

    return Builtin(1, pick)


NUMBERS: dict[str, Builtin] = {
    "equal": Builtin(2, lambda left, right: truth(left == right)),
    "eq": Builtin(2, lambda left, right: truth(left == right)),
    "neq": Builtin(2, lambda left, right: truth(left != right)),
    "lt": _compare(lambda left, right: left < right),
    "lte": _compare(lambda left, right: left <= right),
    "gt": _compare(lambda left, right: left > right),
    "gte": _compare(lambda left, right: left >= right),
    "plus": Builtin(2, lambda left, right: _simple(number(left) + number(right))),
    "minus": Builtin(2, _minus),
    "mul": Builtin(2, _times),
    "div": Builtin(2, _divided),
    "rem": Builtin(2, _remainder),
    "ceil": Builtin(1, lambda value: math.ceil(number(value))),
    "floor": Builtin(1, lambda value: math.floor(number(value))),
    "round": Builtin(1, _rounded),
    "abs": Builtin(1, lambda value: abs(number(value))),
    "bits.or": Builtin(2, lambda left, right: whole(left) | whole(right)),
    "bits.and": Builtin(2, lambda left, right: whole(left) & whole(right)),
    "bits.xor": Builtin(2, lambda left, right: whole(left) ^ whole(right)),
    "bits.negate": Builtin(1, lambda value: ~whole(value)),
    "bits.lsh": Builtin(2, _shifted),
    "bits.rsh": Builtin(2, _shifted_right),
    "sum": Builtin(1, _sum),
    "product": Builtin(1, _product),
    "max": _extreme(max),
    "min": _extreme(min),
    "numbers.range": Builtin(2, _range),
    "numbers.range_step": Builtin(3, _range),
    "to_number": Builtin(1, to_number),
    "format_int": Builtin(2, _format_int),
    "units.parse": Builtin(1, _units),
    "units.parse_bytes": Builtin(1, _unit_bytes),
    "is_number": Builtin(1, lambda value: truth(isinstance(value, int | float))),
    "is_string": Builtin(1, lambda value: truth(isinstance(value, str))),
    "is_boolean": Builtin(1, lambda value: truth(isinstance(value, Boolean))),
    "is_array": Builtin(1, lambda value: truth(isinstance(value, tuple))),
    "is_set": Builtin(1, lambda value: truth(isinstance(value, frozenset))),
    "is_null": Builtin(1, lambda value: truth(value is None)),
}
