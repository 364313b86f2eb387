"""RFC 3339 times as Go's `time` reads and writes them.

HCL's functions have a reader of their own, with other messages (`hcl.functions.times`).
"""

from __future__ import annotations

from bakehouse.lazy import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

_TIME = regex(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9})[0-9]*)?"
    r"(Z|([+-])([0-9]{2}):([0-9]{2}))\Z"
)
_EPOCH_DAY = 719163  # 1970-01-01, counted from 0001-01-01 as day 1


def parse_time_ns(text: str) -> int:
    """Nanoseconds since the epoch. Raises `ValueError` that quotes the text."""
    import datetime

    match = _parts(text)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        days = datetime.date(year, month, day).toordinal() - _EPOCH_DAY
        datetime.time(hour, minute, second)
    except ValueError as error:
        raise ValueError(f'invalid time "{text}": {error}') from error
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    if match[9]:
        offset = int(match[10]) * 3600 + int(match[11]) * 60
        seconds -= offset if match[9] == "+" else -offset
    return seconds * 1_000_000_000 + int((match[7] or "").ljust(9, "0"))


def _parts(text: str) -> re.Match[str]:
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f'invalid time "{text}": expected RFC 3339')
    return match


def format_time_ns(time_ns: int) -> str:
    """The form of a time in UTC, the fraction without trailing zeros (`time.RFC3339Nano`)."""
    import datetime

    seconds, fraction = divmod(time_ns, 1_000_000_000)
    days, seconds = divmod(seconds, 86400)
    date = datetime.date.fromordinal(_EPOCH_DAY + days)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{date.isoformat()}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}Z"


def format_rfc3339(seconds: int, zone: str) -> str:
    """A time in the zone `±HHMM` (`time.RFC3339`); empty for a zone of another form, and beyond the year 9999."""
    import datetime

    if len(zone) != 5 or zone[0] not in "+-" or not zone[1:].isdigit():
        return ""
    offset = (int(zone[1:3]) * 60 + int(zone[3:])) * 60 * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds + offset)  # noqa: DTZ001
    except OverflowError:
        return ""
    written = "Z" if offset == 0 else f"{zone[:3]}:{zone[3:]}"
    return f"{moment.isoformat(timespec='seconds')}{written}"


def normal_time(text: str) -> str:
    """`text` as Go writes it after reading it: same offset, no trailing zeros in the fraction. Raises `ValueError`."""
    parse_time_ns(text)
    match = _parts(text)
    fraction = (match[7] or "").rstrip("0")
    zone = "Z" if match[8] in ("+00:00", "-00:00") else match[8]
    return text[:19] + (f".{fraction}" if fraction else "") + zone
