"""The log of a step: limits, clipping, and the tail that an error shows (engine.md §3)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from bakehouse.values import dataclass

_MAX_BYTES = 2 * 1024 * 1024
_MAX_BYTES_PER_S = 200 * 1024
#: What is kept of clipped output, to be shown after all when the step fails.
_KEPT_BYTES = 256 * 1024
_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 20
_UNITS = ("B", "KiB", "MiB", "GiB")


@dataclass(frozen=True, slots=True)
class LogLimits:
    """Bytes a stream of one step may log in all, and on average in a second; -1 is unlimited."""

    size: int = _MAX_BYTES
    speed: int = _MAX_BYTES_PER_S

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> LogLimits:
        """`BUILDKIT_STEP_LOG_MAX_SIZE` and `…_SPEED`; values that are no 32 bit numbers count as absent."""
        return cls(
            _number(environ.get("BUILDKIT_STEP_LOG_MAX_SIZE"), _MAX_BYTES),
            _number(environ.get("BUILDKIT_STEP_LOG_MAX_SPEED"), _MAX_BYTES_PER_S),
        )


def _number(text: str | None, default: int) -> int:
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if -(1 << 31) <= value < 1 << 31 else default


class StepLog:
    """Passes a step's output on to `emit(stream, data)` within the limits. For one thread."""

    def __init__(
        self,
        emit: Callable[[int, bytes], None],
        limits: LogLimits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = {number: _Stream(number, emit, limits, clock) for number in (1, 2)}
        self._tail = bytearray()

    def write(self, stream: int, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]
        self._streams[stream].write(data)

    def flush(self) -> None:
        """Shows the end of what was clipped. Called when the step failed."""
        for stream in self._streams.values():
            stream.flush()

    def tail(self) -> tuple[str, ...]:
        """The last lines of both streams as they came."""
        lines = bytes(self._tail[-_TAIL_BYTES:]).decode("utf-8", "replace").splitlines()
        return tuple(lines[-_TAIL_LINES:])


class _Stream:
    """One stream's account. The average may be exceeded by what one second allows."""

    def __init__(
        self, number: int, emit: Callable[[int, bytes], None], limits: LogLimits, clock: Callable[[], float]
    ) -> None:
        self._number = number
        self._emit = emit
        self._limits = limits
        self._clock = clock
        self._created = clock()
        self._size = 0
        self._clipping = False
        self._kept: bytearray | None = None

    def write(self, data: bytes) -> None:
        allowed, message = self._allowance(len(data))
        if self._kept is None and allowed < len(data):
            self._kept = bytearray()
        if self._kept is not None:
            self._kept += data
            del self._kept[:-_KEPT_BYTES]
        shown = data[:allowed]
        if len(shown) == len(data):
            self._clipping = False
        elif not self._clipping:
            self._clipping = True
            shown += f"\n[output clipped, log limit {message} reached]\n".encode()
        if shown:
            self._emit(self._number, shown)

    def _allowance(self, count: int) -> tuple[int, str]:
        """How much of the next `count` bytes may be shown, and the limit's name. Clipped bytes count too."""
        before = self._size
        self._size += count
        limit, message = self._limits.size, format_bytes(self._limits.size)
        if self._limits.speed != -1:
            by_speed = math.ceil(self._clock() - self._created) * self._limits.speed
            if limit == -1 or by_speed <= limit:
                limit, message = by_speed, format_bytes(self._limits.speed) + "/s"
        if limit == -1 or self._size <= limit:
            return count, message
        return max(0, limit - before), message

    def flush(self) -> None:
        if self._kept:
            self._emit(self._number, bytes(self._kept))
        self._kept = None


def format_bytes(count: int) -> str:
    """`2MiB`, `200KiB`, `1.5MiB`: the largest binary unit that leaves at least 1."""
    size, unit = float(count), 0
    while abs(size) >= 1024 and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.10g}{_UNITS[unit]}"
