"""Sizes, durations and process limits in text: Go's `time` and Docker's `go-units`.

Every function that reads raises `ValueError` with the text that Go prints.
"""

from __future__ import annotations

from bakehouse.go.text import lower
from bakehouse.go.values import MAX_INT64, parse_float, parse_int
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

_SIZE_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_ULIMIT_NAMES = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
)
_ULIMITS = frozenset(_ULIMIT_NAMES.split())
_NS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign
    "\u03bcs": 1_000,  # the letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION_PART = regex(r"([0-9]*)(\.([0-9]*))?([^0-9.]*)")


def parse_ram_bytes(text: str) -> int:
    """Bytes of a size such as `64m`, `1.5GiB`, `10 kb`: a non-negative number, at most one blank, and nothing, `b`, or
    one of `kmgtp` with an optional `b` or `ib`, in any case; units are powers of 1024.

    A size beyond 64 bits is refused, where Go's answer would depend on the processor."""
    end = max(text.rfind(char) for char in "0123456789. ")
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = (text[:end] if text[end] == " " else text[: end + 1]), text[end + 1 :]
    size = parse_float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    if suffix:
        size *= _size_factor(suffix)
    if not size <= MAX_INT64:
        raise ValueError(f"invalid size: '{text}'")
    return int(size)


def format_bytes(size: int) -> str:
    """A size in the largest unit that it fills, with four significant digits: `128MiB`, `976.6KiB`."""
    value = float(size)
    units = iter(("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))
    unit = next(units)
    while value >= 1024:
        value /= 1024
        unit = next(units)
    return f"{value:.4g}{unit}"


def _size_factor(suffix: str) -> int:
    if len(suffix.encode("utf-8", "surrogateescape")) > 3:
        raise ValueError(f"invalid suffix: '{suffix}'")
    unit = lower(suffix)
    if unit == "b":
        return 1
    factor = _SIZE_UNITS.get(unit[0])
    if factor is None or unit[1:] not in ("", "b", "ib"):
        raise ValueError(f"invalid suffix: '{unit}'")
    return factor


def parse_ulimit(text: str) -> tuple[str, int, int]:
    """Name, soft and hard limit of `name=soft[:hard]`; -1 is unlimited."""
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"invalid ulimit argument: {text}")
    if name not in _ULIMITS:
        raise ValueError(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise ValueError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    hard = parse_int(parts[-1])
    soft = parse_int(parts[0])
    if hard != -1 and (soft == -1 or soft > hard):
        shown = f"soft: -1 (unlimited), hard: {hard}" if soft == -1 else f"{soft} > {hard}"
        raise ValueError(f"ulimit soft limit must be less than or equal to hard limit: {shown}")
    return name, soft, hard


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as `1h15m30.918s`; `0` needs no unit (`time.ParseDuration`)."""
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
        if total > MAX_INT64 + 1:
            raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
        position = match.end()
    negative = text[0] == "-"
    if total > MAX_INT64 + negative:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    return -total if negative else total


def _duration_part(match: re.Match[str], text: str) -> int:
    whole, fraction, unit = match[1].lstrip("0"), match[3] or "", match[4]
    # In Go's order: digits that no integer holds are found before the unit is looked at.
    if len(whole) > 19 or int(whole or "0") > MAX_INT64 + 1:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    if not unit:
        raise ValueError(f"time: missing unit in duration {_quote_bytes(text)}")
    factor = _NS.get(unit)
    if factor is None:
        raise ValueError(f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}")
    value = int(whole or "0") * factor
    if value > MAX_INT64 + 1:
        raise ValueError(f"time: invalid duration {_quote_bytes(text)}")
    return value + _fraction_ns(fraction, factor)


def _fraction_ns(digits: str, factor: int) -> int:
    """The fraction of a unit of `factor` nanoseconds, in floating point as in Go; digits beyond what 64 bits hold do
    not count."""
    value, scale = 0, 1.0
    for digit in digits:
        longer = value * 10 + int(digit)
        if value > MAX_INT64 // 10 or longer > MAX_INT64 + 1:
            break
        value, scale = longer, scale * 10
    return int(float(value) * (float(factor) / scale))


def format_duration(ns: int) -> str:
    """A duration as Go prints it: `1m30s`, `1.5s`, `20ms`, `0s`."""
    if ns == 0:
        return "0s"
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    if ns < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000)):
            if ns >= size:
                return f"{sign}{_decimal(ns, size)}{unit}"
        return f"{sign}{ns}ns"
    minutes, rest = divmod(ns, 60 * 1_000_000_000)
    hours, minutes = divmod(minutes, 60)
    out = sign
    if hours:
        out += f"{hours}h"
    if hours or minutes:
        out += f"{minutes}m"
    return out + _decimal(rest, 1_000_000_000) + "s"


def _decimal(value: int, unit: int) -> str:
    whole, fraction = divmod(value, unit)
    digits = f"{fraction:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


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
