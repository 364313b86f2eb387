"""Dates and times (go-cty `datetime.go`, buildx's timestamp functions). The calendar is proleptic Gregorian
for all years."""

from __future__ import annotations

import re

from bakehouse.go.text import quote
from bakehouse.go.units import parse_duration
from bakehouse.hcl import numbers
from bakehouse.hcl.function import ArgumentError, Function, FunctionError
from bakehouse.hcl.functions.build import any_parameter, number_parameter, text_function, text_parameter
from bakehouse.hcl.types import NUMBER, STRING, ObjectType, Type
from bakehouse.hcl.values import Value, integer, object_, string
from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
_SECOND_NS = 1_000_000_000


class Moment:
    """A point in time shown in a zone: `epoch_ns` since 1970 UTC, `offset_s` east of UTC, and the fields of
    the clock."""

    __slots__ = ("day", "epoch_ns", "hour", "minute", "month", "offset_s", "second", "weekday", "year")

    def __init__(self, epoch_ns: int, offset_s: int = 0) -> None:
        self.epoch_ns = epoch_ns
        self.offset_s = offset_s
        days, seconds = divmod(epoch_ns // _SECOND_NS + offset_s, 86400)
        self.year, self.month, self.day = _civil(days)
        self.hour, rest = divmod(seconds, 3600)
        self.minute, self.second = divmod(rest, 60)
        self.weekday = (days + 4) % 7

    @property
    def epoch_s(self) -> int:
        return self.epoch_ns // _SECOND_NS

    def year_text(self) -> str:
        return f"-{-self.year:04d}" if self.year < 0 else f"{self.year:04d}"

    def offset_text(self, colon: bool) -> str:
        sign = "-" if self.offset_s < 0 else "+"
        hours, minutes = divmod(abs(self.offset_s) // 60, 60)
        return f"{sign}{hours:02d}{':' if colon else ''}{minutes:02d}"

    def zone_text(self) -> str:
        return self.offset_text(True) if self.offset_s else "Z"

    def rfc3339(self) -> str:
        """`2006-01-02T15:04:05Z`; fractions of seconds are left out."""
        date = f"{self.year_text()}-{self.month:02d}-{self.day:02d}"
        return f"{date}T{self.hour:02d}:{self.minute:02d}:{self.second:02d}{self.zone_text()}"


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month, day of the day `days` after 1970-01-01."""
    era, of_era = divmod(days + 719468, 146097)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _month_days(year: int, month: int) -> int:
    return (
        29 if month == 2 and _is_leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    )


class _TimestampError(ValueError):
    """Why a text is no timestamp, without the words that introduce it."""


_NAMES = ("year", "month", "day of month", "hour", "minute", "second")


class _Reader:
    """Reads a timestamp from left to right and finds fault in go-cty's words."""

    __slots__ = ("rest",)

    def __init__(self, text: str) -> None:
        self.rest = text

    def number(self, name: str, digits: int) -> int:
        field = self.rest[:digits]
        if len(field) < digits or not (field.isascii() and field.isdigit()):
            raise self.bad(name)
        self.rest = self.rest[digits:]
        return int(field)

    def bad(self, name: str) -> _TimestampError:
        if not self.rest:
            return _TimestampError(f": end of string before {name}")
        if name == "hour" and ":" in self.rest:
            return _TimestampError(": hour must be between 0 and 23 inclusive")
        if name in ("hour", "minute") and len(self.rest) != 2:
            return _TimestampError(f": {name} must have exactly two digits")
        return _TimestampError(f": cannot use {quote(self.rest)} as {name}")

    def mark(self, mark: str) -> None:
        if self.rest.startswith(mark):
            self.rest = self.rest[1:]
        elif mark == "T":
            raise _TimestampError(": missing required time introducer 'T'")
        elif not self.rest:
            raise _TimestampError(f": end of string where {quote(mark)} is expected")
        else:
            raise _TimestampError(f": found {quote(self.rest)} where {quote(mark)} is expected")


def _parse_timestamp(text: str) -> Moment:
    reader = _Reader(text)
    fields: list[int] = []
    limits = ((0, 9999), (1, 12), (0, 99), (0, 23), (0, 59), (0, 59))
    for index, mark in enumerate(("", "-", "-", "T", ":", ":")):
        if mark:
            reader.mark(mark)
        if index == 3 and re.match(r"[0-9]:", reader.rest):
            raise _TimestampError(": hour must have exactly two digits")
        value = reader.number(_NAMES[index], 4 if index == 0 else 2)
        if not limits[index][0] <= value <= limits[index][1]:
            raise reader.bad(_NAMES[index])
        fields.append(value)
    year, month, day, hour, minute, second = fields
    fraction = _fraction(reader)
    offset = _offset(reader)
    if reader.rest:
        raise reader.bad("timestamp segment")
    if not 1 <= day <= _month_days(year, month):
        raise _TimestampError(": day out of range")
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset
    return Moment(seconds * _SECOND_NS + fraction, offset)


def _fraction(reader: _Reader) -> int:
    found = re.match(r"\.([0-9]+)", reader.rest)
    if found is None:
        return 0
    reader.rest = reader.rest[found.end() :]
    return int(found.group(1)[:9].ljust(9, "0"))


def _offset(reader: _Reader) -> int:
    if reader.rest.startswith("Z"):
        reader.rest = reader.rest[1:]
        return 0
    found = re.match(r"([+-])([0-9]{2}):([0-9]{2})", reader.rest)
    if found is None:
        raise reader.bad("UTC offset")
    reader.rest = reader.rest[6:]
    if int(found.group(2)) > 23 or int(found.group(3)) > 59:
        raise reader.bad("UTC offset")
    offset = int(found.group(2)) * 3600 + int(found.group(3)) * 60
    return -offset if found.group(1) == "-" else offset


def parse_timestamp(text: str) -> Moment:
    """The moment that an RFC 3339 timestamp names. Raises FunctionError."""
    try:
        return _parse_timestamp(text)
    except _TimestampError as error:
        raise FunctionError(f"not a valid RFC3339 timestamp{error}") from None


_DATE_TOKEN = regex(r"''|'(?:[^']|'')*'?|([a-zA-Z])\1*|[^a-zA-Z']+")
_FORMS: dict[str, tuple[str, dict[int, Callable[[Moment], str]]]] = {
    "Y": (
        'year must either be "YY" or "YYYY"',
        {2: lambda t: f"{t.year % 100:02d}", 4: lambda t: t.year_text()},
    ),
    "M": (
        'month must be "M", "MM", "MMM", or "MMMM"',
        {
            1: lambda t: str(t.month),
            2: lambda t: f"{t.month:02d}",
            3: lambda t: _MONTHS[t.month - 1][:3],
            4: lambda t: _MONTHS[t.month - 1],
        },
    ),
    "D": ('day of month must either be "D" or "DD"', {1: lambda t: str(t.day), 2: lambda t: f"{t.day:02d}"}),
    "E": (
        'day of week must either be "EEE" or "EEEE"',
        {3: lambda t: _WEEKDAYS[t.weekday][:3], 4: lambda t: _WEEKDAYS[t.weekday]},
    ),
    "h": ('24-hour must either be "h" or "hh"', {1: lambda t: str(t.hour), 2: lambda t: f"{t.hour:02d}"}),
    "H": (
        '12-hour must either be "H" or "HH"',
        {1: lambda t: str(t.hour % 12 or 12), 2: lambda t: f"{t.hour % 12 or 12:02d}"},
    ),
    "A": ('must be "AA"', {2: lambda t: "PM" if t.hour >= 12 else "AM"}),
    "a": ('must be "aa"', {2: lambda t: "pm" if t.hour >= 12 else "am"}),
    "m": ('minute must either be "m" or "mm"', {1: lambda t: str(t.minute), 2: lambda t: f"{t.minute:02d}"}),
    "s": ('second must either be "s" or "ss"', {1: lambda t: str(t.second), 2: lambda t: f"{t.second:02d}"}),
    "Z": (
        "timezone must be Z, ZZZZ, or ZZZZZ",
        {
            1: lambda t: t.zone_text(),
            3: lambda t: t.offset_text(False) if t.offset_s else "UTC",
            4: lambda t: t.offset_text(False),
            5: lambda t: t.offset_text(True),
        },
    ),
}


def _date_token(token: str, moment: Moment) -> str:
    if token[0] == "'":
        if token == "''":
            return "'"
        if len(token) == 1 or token[-1] != "'" or token[1:-1].replace("''", "").count("'"):
            raise ArgumentError(0, "unterminated literal '")
        return token[1:-1].replace("''", "'")
    if not (token[0].isascii() and token[0].isalpha()):
        return token
    rule, forms = _FORMS.get(token[0], ("", {}))
    form = forms.get(len(token))
    if form is None:
        reason = f": {rule}" if rule else ""
        raise ArgumentError(0, f"invalid date format verb {quote(token)}{reason}")
    return form(moment)


def format_moment(layout: str, moment: Moment) -> str:
    """The moment written by a layout of verbs such as `YYYY` and quoted text. Raises ArgumentError about argument 0."""
    return "".join(_date_token(found.group(), moment) for found in _DATE_TOKEN.finditer(layout))


def _formatdate(layout: str, timestamp: str) -> str:
    try:
        moment = parse_timestamp(timestamp)
    except FunctionError as error:
        raise ArgumentError(1, error.message) from None
    return format_moment(layout, moment)


def _from_unix(value: Value, index: int) -> Moment:
    seconds, exact = numbers.to_int64(value.raw)
    if not exact:
        raise ArgumentError(index, "unix timestamp must be an integer")
    return Moment(seconds * _SECOND_NS)


def _formattimestamp(arguments: list[Value], result: Type) -> Value:
    layout, when = arguments[0].raw, arguments[1]
    if when.type is NUMBER:
        moment = _from_unix(when, 1)
        # By way of its text, which not every moment has: years have four digits.
        return string(str(moment.epoch_s) if layout == "X" else _formatdate(layout, moment.rfc3339()))
    if when.type is not STRING:
        raise ArgumentError(1, "must be a string timestamp or a unix timestamp number")
    if layout != "X":
        return string(_formatdate(layout, when.raw))
    try:
        return string(str(parse_timestamp(when.raw).epoch_s))
    except FunctionError:
        raise ArgumentError(1, "timestamp string must be RFC3339") from None


def _timeadd(timestamp: str, duration: str) -> str:
    moment = parse_timestamp(timestamp)
    try:
        added_ns = parse_duration(duration)
    except ValueError as error:
        raise FunctionError(str(error)) from None
    return Moment(moment.epoch_ns + added_ns, moment.offset_s).rfc3339()


def timestamp(now: Callable[[], float] | None) -> Function:
    """The function `timestamp()`, answered by the clock `now`."""

    def call(arguments: list[Value], result: Type) -> Value:
        if now is None:
            raise FunctionError("there is no clock here")
        return string(Moment(int(now()) * _SECOND_NS).rfc3339())

    return Function([], STRING, call)


def _iso_week(moment: Moment) -> tuple[int, int]:
    """Year and week of ISO 8601: weeks begin on Monday and belong to the year of their Thursday."""
    day = _days(moment.year, moment.month, moment.day)
    thursday = day - (moment.weekday + 6) % 7 + 3
    year = _civil(thursday)[0]
    return year, (thursday - _days(year, 1, 1)) // 7 + 1


def _unixtimestampparse(arguments: list[Value], result: Type) -> Value:
    moment = _from_unix(arguments[0], 0)
    iso_year, iso_week = _iso_week(moment)
    year_day = _days(moment.year, moment.month, moment.day) - _days(moment.year, 1, 1) + 1
    whole = {
        "year": moment.year,
        "year_day": year_day,
        "day": moment.day,
        "month": moment.month,
        "weekday": moment.weekday,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "iso_year": iso_year,
        "iso_week": iso_week,
    }
    texts = {
        "month_name": _MONTHS[moment.month - 1],
        "weekday_name": _WEEKDAYS[moment.weekday],
        "rfc3339": moment.rfc3339(),
    }
    return object_(
        {name: integer(value) for name, value in whole.items()}
        | {name: string(value) for name, value in texts.items()}
    )


_PARSED = ObjectType(
    dict.fromkeys(
        ["year", "year_day", "day", "month", "weekday", "hour", "minute", "second", "iso_year", "iso_week"],
        NUMBER,
    )
    | dict.fromkeys(["month_name", "weekday_name", "rfc3339"], STRING)
)

FUNCTIONS = {
    "formatdate": text_function("format time", _formatdate),
    "formattimestamp": Function([text_parameter("format"), any_parameter("time")], STRING, _formattimestamp),
    "timeadd": text_function("timestamp duration", _timeadd),
    "timestamp": timestamp(None),
    "unixtimestampparse": Function([number_parameter("unix_timestamp")], _PARSED, _unixtimestampparse),
}
