"""What a plain YAML scalar means: the rules of Go's YAML library (a mixture of YAML 1.1 and 1.2), not those of PyYAML.

`yes` and `on` are text, `010` and `0o10` are eight, `12:30` is text, dates are timestamps.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import Timestamp, type_name
from bakehouse.go.values import MAX_INT64, parse_float
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.compose.nodes import Value

STR_TAG = "tag:yaml.org,2002:str"
_PREFIX = "tag:yaml.org,2002:"
_NAMED: dict[str, Value] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys(("-0", "-0.0"), -0.0),
}
#: Characters that a plain scalar of another type than text begins with.
_SPECIAL_STARTS = frozenset("+-.0123456789nNtTfF~")
_NUMBER_STARTS = frozenset("+-0123456789")
_FLOAT = regex(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_DIGITS = {2: frozenset("01"), 8: frozenset("01234567"), 10: frozenset("0123456789")}
_HEX = frozenset("0123456789abcdef")
_TIMESTAMP = regex(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"(?:([Tt ])([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?)?\Z"
)
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class BadScalar(ValueError):
    """A scalar does not suit its tag; the text is the peer's."""


def plain(text: str) -> Value:
    """The value of an untagged plain scalar."""
    if text and text[0] not in _SPECIAL_STARTS:
        return text
    return _resolve(text)


def tagged(tag: str, text: str) -> Value:
    """The value of a scalar with an explicit tag; one that is not YAML's own leaves text. Raises `BadScalar`."""
    if not tag.startswith(_PREFIX) or tag == STR_TAG:
        return text
    kind = tag[len(_PREFIX) :]
    if kind == "binary":
        return _binary(text)
    if kind not in ("bool", "int", "float", "null", "timestamp"):
        return text
    value = _resolve(text)
    found = _kind(value)
    if found == kind:
        return value
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise BadScalar(f"yaml: cannot construct !!{found} `{text}` as a !!{kind}")


def _kind(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, int) and not isinstance(value, bool):
        return "int"
    kinds = {"bool": "bool", "float64": "float", "string": "str", "time.Time": "timestamp"}
    return kinds[type_name(value)]


def _binary(text: str) -> str:
    import base64
    import binascii

    try:
        data = base64.b64decode("".join(text.split("\n")).replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadScalar("yaml: !!binary value contains invalid base64 data") from None
    return data.decode("utf-8", "surrogateescape")


def _resolve(text: str) -> Value:
    if text in _NAMED:
        return _NAMED[text]
    first = text[0]
    if first == ".":
        try:
            return parse_float(text)
        except ValueError:
            return text
    if first not in _NUMBER_STARTS:
        return text
    timestamp = _timestamp(text)
    if timestamp is not None:
        return timestamp
    whole = _integer(text.replace("_", ""))
    if whole is not None:
        return whole
    plain_text = text.replace("_", "")
    if _FLOAT.match(plain_text):
        try:
            return parse_float(plain_text)
        except ValueError:
            return text
    return text


def _integer(text: str) -> int | None:
    """An integer of 64 bits, signed or not, with Go's base prefixes; None for anything else."""
    negative = text.startswith("-")
    body = text[1:] if text[:1] in ("+", "-") else text
    lowered = body.lower()
    base = 10
    if lowered.startswith("0") and len(lowered) > 1:
        prefixes = {"x": 16, "b": 2, "o": 8}
        base = prefixes.get(lowered[1], 8)
        lowered = lowered[2:] if lowered[1] in prefixes else lowered[1:]
    if not lowered or not (_HEX if base == 16 else _DIGITS[base]).issuperset(lowered):
        return None
    if len(lowered) > 64:
        lowered = lowered.lstrip("0") or "0"
        if len(lowered) > 64:
            return None
    value = int(lowered, base)
    if negative:
        return -value if value <= MAX_INT64 + 1 else None
    if value <= MAX_INT64:
        return value
    # Beyond that only an unsigned number is left, which takes no sign.
    return value if value < 1 << 64 and not text.startswith("+") else None


def _timestamp(text: str) -> Timestamp | None:
    match = _TIMESTAMP.match(text) if text[4:5] == "-" else None
    if match is None:
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    separator, zone = match[4], match[9]
    # A time behind a blank has no zone, one behind a T must have one.
    if separator is not None and (separator == " ") == (zone is not None):
        return None
    hour, minute, second = (int(match[group] or 0) for group in (5, 6, 7))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if (
        not 1 <= month <= 12
        or not 1 <= day <= _MONTH_DAYS[month - 1]
        or (month == 2 and day == 29 and not leap)
    ):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    nanoseconds = int((match[8] or "").ljust(9, "0")[:9])
    offset = 0
    if zone not in (None, "Z"):
        if int(zone[1:3]) > 24 or int(zone[4:6]) > 60:
            return None
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    return Timestamp((year, month, day, hour, minute, second), nanoseconds, offset)
