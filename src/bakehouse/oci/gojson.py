"""JSON and timestamps written the way Go's standard library writes them.

Digests of configs, manifests and cache keys cover these bytes, so escapes, separators and fractions must agree with
what BuildKit's `encoding/json` emits (engine.md §8.2, §17.2). Member order is the caller's: pass dicts in order.
"""

from __future__ import annotations

import datetime
import json
import re

from bakehouse.errors import DefinitionError
from bakehouse.lazy import regex

_ESCAPES = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)
_TIME = regex(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()


def encode(value: object, *, indent: int | None = None) -> bytes:
    """`value` as UTF-8 JSON: compact, or indented by `indent` spaces; no final newline. Lone surrogates become
    U+FFFD, as Go replaces invalid UTF-8."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent, allow_nan=False)
    return text.translate(_ESCAPES).encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def parse_time_ns(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time. Raises `DefinitionError` (code `invalid-time`)."""
    match = _TIME.match(text)
    if match is None:
        raise DefinitionError(f'invalid time "{text}": expected RFC 3339', code="invalid-time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = datetime.date(year, month, day).toordinal() - _EPOCH_DAY
        datetime.time(hour, minute, second)
    except ValueError as error:
        raise DefinitionError(f'invalid time "{text}": {error}', code="invalid-time") from error
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    if match[9]:
        offset = int(match[10]) * 3600 + int(match[11]) * 60
        seconds -= offset if match[9] == "+" else -offset
    return seconds * 1_000_000_000 + int((match[7] or "").ljust(9, "0"))


def format_time_ns(time_ns: int) -> str:
    """The RFC 3339 form of a time in UTC, the fraction without trailing zeros (Go's RFC3339Nano)."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    days, seconds = divmod(seconds, 86400)
    date = datetime.date.fromordinal(_EPOCH_DAY + days)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{date.isoformat()}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}Z"


def normal_time(text: str) -> str:
    """`text` as Go writes it after reading it: same offset, no trailing zeros in the fraction."""
    parse_time_ns(text)
    match = _TIME.match(text)
    assert match is not None
    fraction = (match[7] or "").rstrip("0")
    zone = "Z" if match[8] in ("+00:00", "-00:00") else match[8]
    return text[:19] + (f".{fraction}" if fraction else "") + zone
