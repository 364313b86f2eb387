"""Times in configs and histories: Go's RFC 3339 (`go.timestamps`), wrong ones as the project's error."""

from __future__ import annotations

from bakehouse.errors import DefinitionError
from bakehouse.go import timestamps


def parse_time_ns(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time. Raises `DefinitionError` (code `invalid-time`)."""
    try:
        return timestamps.parse_time_ns(text)
    except ValueError as error:
        raise DefinitionError(str(error), code="invalid-time") from error


def normal_time(text: str) -> str:
    """`text` as Go writes it after reading it: same offset, no trailing zeros in the fraction. Raises as above."""
    try:
        return timestamps.normal_time(text)
    except ValueError as error:
        raise DefinitionError(str(error), code="invalid-time") from error
