"""Values written in flags, read as Go's standard library reads them: integers, booleans, sizes, durations,
CSV fields.

Every function raises `ValueError` whose text is the one that Go prints.
"""

from __future__ import annotations

import re

from bakehouse.dockerfile.gotext import lower, quote
from bakehouse.lazy import regex

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = regex(r"[+-]?[0-9]+")
_UNSIGNED = regex(r"[0-9]+")
_FLOAT = regex(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = regex(r"([0-9]*)(\.([0-9]*))?([^0-9.]*)")
_MAX_INT64 = (1 << 63) - 1


def parse_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int32(text: str) -> int:
    """A decimal integer of 32 bits."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    value = int(text) if len(text) < 20 else 1 << 63
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return value


def parse_uint32(text: str, base: int) -> int:
    """An unsigned integer of 32 bits in base 8 or 10."""
    if not _UNSIGNED.fullmatch(text) or (base == 8 and ("8" in text or "9" in text)):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    digits = text.lstrip("0") or "0"
    value = int(digits, base) if len(digits) < 20 else 1 << 63
    if value >= 1 << 32:
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return value


def parse_ram_bytes(text: str) -> int:
    """Bytes of a size such as `64m`, `1.5GiB`, `10 kb`; units are powers of 1024."""
    last_digit = max(text.rfind(char) for char in "0123456789. ")
    if last_digit < 0:
        raise ValueError(f"invalid size: '{text}'")
    number = text[:last_digit] if text[last_digit] == " " else text[: last_digit + 1]
    suffix = text[last_digit + 1 :]
    if not _FLOAT.fullmatch(number):
        raise ValueError(f"strconv.ParseFloat: parsing {quote(number)}: invalid syntax")
    size = float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    if suffix:
        size *= _size_factor(suffix)
    if size > _MAX_INT64:
        raise ValueError(f"invalid size: '{text}'")
    return int(size)


def _size_factor(suffix: str) -> int:
    unit = lower(suffix)
    if unit == "b":
        return 1
    factor = _SIZE_UNITS.get(unit[0])
    if factor is None or unit[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{unit if len(suffix) <= 3 else suffix}'")
    return factor


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `1h15m30.918s`; `0` needs no unit."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    if not unsigned:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    total, position = 0, 0
    while position < len(unsigned):
        match = _DURATION_PART.match(unsigned, position)
        if match is None or not (match[1] or match[3]):
            raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
        total += _duration_part(match, text)
        position = match.end()
    negative = text[0] == "-"
    if total > _MAX_INT64 + negative:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    return -total if negative else total


def _duration_part(match: re.Match[str], text: str) -> int:
    whole, fraction, unit = match[1] or "0", match[3] or "", match[4]
    if not unit:
        raise ValueError(f"time: missing unit in duration {_quote_bytes(text)}")
    factor = _NS.get(unit)
    if factor is None:
        raise ValueError(f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}")
    if len(whole.lstrip("0")) > 19:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    value = int(whole) * factor
    if fraction:
        digits = fraction[:18]  # more digits than an int64 holds do not count
        value += int(float(int(digits)) * (factor / float(10 ** len(digits))))
    return value


def _quote_bytes(text: str) -> str:
    """The `time` package's own quoting: every byte that is not printable ASCII is shown in hex."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        else:
            out.append(char if 0x20 <= byte < 0x80 else f"\\x{byte:02x}")
    return '"' + "".join(out) + '"'


def csv_fields(line: str) -> list[str]:
    """The fields of one CSV line. A field may be in double quotes, in which `""` is a quote."""
    line = line.removesuffix("\r\n") if line.endswith("\r\n") else line.removesuffix("\n")
    if not line:
        raise ValueError("EOF")
    fields: list[str] = []
    position = 0
    while True:
        if line.startswith('"', position):
            field, position = _quoted_field(line, position + 1)
        else:
            end = line.find(",", position)
            field = line[position:] if end < 0 else line[position:end]
            if '"' in field:
                raise _csv_error(line, position + field.index('"'), 'bare " in non-quoted field')
            position = len(line) + 1 if end < 0 else end + 1
        fields.append(field)
        if position > len(line):
            return fields


def _quoted_field(line: str, position: int) -> tuple[str, int]:
    """The field that begins after its opening quote, and where the next one begins (beyond the end: none)."""
    parts: list[str] = []
    while True:
        end = line.find('"', position)
        if end < 0:
            raise _csv_error(line, position, 'extraneous or missing " in quoted-field')
        parts.append(line[position:end])
        position = end + 1
        follower = line[position : position + 1]
        if follower == '"':
            parts.append('"')
            position += 1
        elif follower in (",", ""):
            return "".join(parts), position + 1
        else:
            raise _csv_error(line, end, 'extraneous or missing " in quoted-field')


def _csv_error(line: str, position: int, reason: str) -> ValueError:
    column = len(line[:position].encode("utf-8", "surrogateescape")) + 1
    return ValueError(f"parse error on line 1, column {column}: {reason}")
