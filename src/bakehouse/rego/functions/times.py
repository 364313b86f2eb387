"""Points in time as nanoseconds since the epoch."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from bakehouse.go.text import quote
from bakehouse.lazy import regex
from bakehouse.rego.errors import RegoError
from bakehouse.rego.functions.build import Builtin, FunctionFailed, array, text, whole

_RFC3339 = regex(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DURATION = regex(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANGE = range(-(2**63), 2**63)


def _limited(value: int) -> int:
    if value not in _RANGE:
        raise FunctionFailed
    return value


def parse_rfc3339(value: Any) -> int:
    """Nanoseconds since the epoch. Raises `FunctionFailed`."""
    found = _RFC3339.fullmatch(text(value))
    if found is None:
        raise FunctionFailed
    year, month, day, hour, minute, second = (int(found[at]) for at in range(1, 7))
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise FunctionFailed from None
    offset = 0
    if found[8]:
        offset = (int(found[9]) * 60 + int(found[10])) * 60 * (1 if found[8] == "+" else -1)
    delta = at - _EPOCH
    nanoseconds = int((found[7] or "")[:9].ljust(9, "0"))
    return _limited((delta.days * 86400 + delta.seconds - offset) * 10**9 + nanoseconds)


def _duration(value: Any) -> int:
    word = text(value)
    sign = -1 if word.startswith("-") else 1
    rest = word.lstrip("+-") if word[:1] in "+-" else word
    if rest == "0":
        return 0
    total, at = 0.0, 0
    while at < len(rest):
        found = _DURATION.match(rest, at)
        if found is None:
            raise FunctionFailed
        amount = found[1]
        total += int(amount) * _UNITS[found[2]] if amount.isdigit() else float(amount) * _UNITS[found[2]]
        at = found.end()
    if not rest:
        raise FunctionFailed
    return _limited(sign * int(total))


def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        return datetime.now().astimezone().tzinfo or UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FunctionFailed from None


def _moment(value: Any) -> datetime:
    zone: tzinfo = UTC
    if isinstance(value, tuple):
        if not value:
            raise FunctionFailed
        zone = _zone(text(value[1])) if len(value) > 1 else UTC
        value = value[0]
    try:
        return (_EPOCH + timedelta(seconds=_limited(whole(value)) // 10**9)).astimezone(zone)
    except OverflowError:
        raise FunctionFailed from None


def _nanoseconds(value: Any) -> int:
    return whole(array(value)[0] if isinstance(value, tuple) and value else value)


def _added(value: Any, years: Any, months: Any, days: Any) -> int:
    at = _moment(value)
    month = at.month - 1 + whole(months)
    year = at.year + whole(years) + month // 12
    try:
        first = at.replace(year=year, month=month % 12 + 1, day=1)
        moved = first + timedelta(days=at.day - 1 + whole(days))
    except (ValueError, OverflowError):
        raise FunctionFailed from None
    delta = moved.astimezone(UTC) - _EPOCH
    return _limited((delta.days * 86400 + delta.seconds) * 10**9 + _nanoseconds(value) % 10**9)


def _difference(left: Any, right: Any) -> tuple[int, ...]:
    """Years, months, days, hours, minutes and seconds between two times."""
    late, early = _moment(left), _moment(right).astimezone(_moment(left).tzinfo)
    if late < early:
        late, early = early, late
    parts = [
        late.year - early.year,
        late.month - early.month,
        late.day - early.day,
        late.hour - early.hour,
        late.minute - early.minute,
        late.second - early.second,
    ]
    for at, size in ((5, 60), (4, 60), (3, 24)):
        if parts[at] < 0:
            parts[at] += size
            parts[at - 1] -= 1
    if parts[2] < 0:
        month_start = datetime(early.year, early.month, 1, tzinfo=UTC)
        following = (month_start + timedelta(days=32)).replace(day=1)
        parts[2] += (following - month_start).days
        parts[1] -= 1
    if parts[1] < 0:
        parts[1] += 12
        parts[0] -= 1
    return tuple(parts)


def _layout(layout: Any, value: Any) -> int:
    """`time.parse_ns` for the layouts of RFC 3339. Others of Go's are refused: a policy could misread it if they had no
    value."""
    if text(layout) in ("2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00"):
        return parse_rfc3339(value)
    if layout == "2006-01-02":
        return parse_rfc3339(f"{text(value)}T00:00:00Z")
    raise RegoError(
        f"time.parse_ns: the layout {quote(text(layout))} is not supported",
        hint='The layouts "2006-01-02" and "2006-01-02T15:04:05Z07:00" are.',
    )


TIMES: dict[str, Builtin] = {
    "time.now_ns": Builtin(0, time.time_ns),
    "time.parse_rfc3339_ns": Builtin(1, parse_rfc3339),
    "time.parse_ns": Builtin(2, _layout),
    "time.parse_duration_ns": Builtin(1, _duration),
    "time.date": Builtin(1, lambda value: (_moment(value).year, _moment(value).month, _moment(value).day)),
    "time.clock": Builtin(
        1, lambda value: (_moment(value).hour, _moment(value).minute, _moment(value).second)
    ),
    "time.weekday": Builtin(1, lambda value: _moment(value).strftime("%A")),
    "time.add_date": Builtin(4, _added),
    "time.diff": Builtin(2, _difference),
}
