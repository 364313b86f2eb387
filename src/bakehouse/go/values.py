"""Booleans and numbers: Go's `strconv`.

Every function raises `ValueError` whose text is the one that Go prints. Sizes and ulimits are in `units`.
"""

from __future__ import annotations

from bakehouse.go.text import quote

TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
MAX_INT64 = (1 << 63) - 1

_DIGITS = {8: frozenset("01234567"), 10: frozenset("0123456789")}
_NUMBER_STARTS = frozenset("0123456789.")


def parse_bool(text: str) -> bool:
    """A boolean in any of Go's twelve spellings."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str, bits: int = 64) -> int:
    """A decimal integer of so many bits."""
    value = _digits_value(text[1:] if text[:1] in ("+", "-") else text, 10, bits)
    if value is None:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    if text[0] == "-":
        value = -value
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def parse_uint(text: str, base: int = 10, bits: int = 64) -> int:
    """An unsigned integer of so many bits in base 8 or 10."""
    value = _digits_value(text, base, bits)
    if value is None:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    if value >= 1 << bits:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return value


def _digits_value(text: str, base: int, bits: int) -> int | None:
    """The value of `text`; None when it is not digits only. What so many bits do not hold comes out too large,
    whatever follows: Go reads from the left and stops there."""
    allowed = _DIGITS[base]
    end = next((index for index, char in enumerate(text) if char not in allowed), len(text))
    digits = text[:end].lstrip("0") or "0"
    value = int(digits, base) if len(digits) < 25 else 1 << 70  # Python limits how much it converts
    if value >= 1 << bits:
        return value
    return value if text and end == len(text) else None


def parse_float(text: str) -> float:
    """A 64-bit float in Go's syntax: decimal, hexadecimal with `p` exponent, underscores only after a base prefix,
    `inf`, `nan`."""
    value = _float_or_none(text)
    if value is None:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    if value in (float("inf"), float("-inf")) and "n" not in text.lower():
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return value


def _float_or_none(text: str) -> float | None:
    body = text[1:] if text[:1] in ("+", "-") else text
    lowered = body.lower()
    if lowered in ("inf", "infinity"):
        return float(text)
    if text.lower() == "nan":
        return float("nan")
    # What remains must be ASCII without blanks, which Python's parser would be lenient about.
    if not body.isascii() or body.strip() != body or lowered[:1] not in _NUMBER_STARTS:
        return None
    if "_" in body:
        if not _underscores_ok(lowered):
            return None
        text = text.replace("_", "")
    try:
        if lowered.startswith("0x"):
            # Python would also take a hexadecimal float without its exponent.
            return float.fromhex(text) if "p" in lowered else None
        return float(text)
    except ValueError:
        return None
    except OverflowError:
        return float("inf")


def _underscores_ok(lowered: str) -> bool:
    """Underscores stand only between digits, or between a base prefix and a digit."""
    prefixed = lowered[:2] in ("0x", "0b", "0o")
    digits = "0123456789abcdef" if lowered.startswith("0x") else "0123456789"
    before_is_digit = prefixed
    rest = lowered[2:] if prefixed else lowered
    for index, char in enumerate(rest):
        if char == "_":
            after = rest[index + 1 : index + 2]
            if not before_is_digit or after == "" or after not in digits:
                return False
        before_is_digit = char in digits
    return True


def format_float(value: float) -> str:
    """A float as Go prints it (`%v`): the shortest digits that read back; an exponent below 1e-04 and from 1e+06."""
    if value - value != 0:
        return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")
    mantissa, _, exponent_text = repr(value).partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    # `point` digits stand before the decimal point.
    point = len(whole) + int(exponent_text or "0") - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not -4 <= point - 1 < 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        exponent = point - 1
        return f"{sign}{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"
