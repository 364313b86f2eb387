"""What a build reports while it runs: BuildKit's status stream as plain values (engine.md §16).

Emitters (solver, engine, exporters) call a `Reporter`; renderers consume events. Nothing here knows what causes
an event. All methods are thread-safe; times are seconds since the epoch (float). Consumers must treat later events
of a vertex as updates: it may start and complete more than once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bakehouse.values import dataclass, field

STDOUT = 1
STDERR = 2


@dataclass(frozen=True, slots=True)
class ProgressGroup:
    """Vertices whose groups have the same `id` are shown as one line, `name`. A `weak` member's work does not show
    the line: that takes one that is not weak, or a failure of one among several."""

    id: str
    name: str
    weak: bool = False


@dataclass(slots=True)
class VertexEvent:
    """The state of one vertex. `digest` identifies it; `error` is None, or the text of why it failed
    (`context canceled` when it was cancelled)."""

    digest: str
    name: str
    inputs: tuple[str, ...] = ()
    started: float | None = None
    completed: float | None = None
    cached: bool = False
    error: str | None = None
    progress_group: ProgressGroup | None = None


@dataclass(slots=True)
class StatusEvent:
    """A part of a vertex's work: a transfer (bytes `current` of `total`, 0 = unknown) or a named phase."""

    vertex: str
    id: str
    current: int = 0
    total: int = 0
    timestamp: float = 0.0
    started: float | None = None
    completed: float | None = None


@dataclass(slots=True)
class LogEvent:
    """Raw output of a step, not line-aligned. `stream` is STDOUT or STDERR."""

    vertex: str
    stream: int
    data: bytes
    timestamp: float


@dataclass(slots=True)
class WarningEvent:
    """A warning tied to a vertex (lint findings): `short` is one line; `first_line`/`last_line` count from 1."""

    vertex: str
    short: str
    detail: tuple[str, ...] = ()
    url: str = ""
    level: int = 1
    filename: str = ""
    source: bytes = b""
    first_line: int = 0
    last_line: int = 0


Event = VertexEvent | StatusEvent | LogEvent | WarningEvent
Sink = Callable[[Event], None]


@dataclass(slots=True)
class Reporter:
    """Thread-safe fan-in to one sink. A sink that raises is dropped rather than failing the build."""

    sink: Sink
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def emit(self, event: Event) -> None:
        with self._lock:
            self.sink(event)

    def vertex(
        self,
        digest: str,
        name: str,
        inputs: tuple[str, ...] = (),
        progress_group: ProgressGroup | None = None,
    ) -> "VertexReporter":
        """Announces a vertex (not yet started) and returns the handle that reports on it."""
        handle = VertexReporter(self, digest, name, inputs, progress_group)
        self.emit(VertexEvent(digest, name, inputs, progress_group=progress_group))
        return handle


class VertexReporter:
    """Reports on one vertex: `start`, then logs and statuses, then exactly one of `done`, `cached`, `fail`."""

    __slots__ = ("_reporter", "digest", "inputs", "name", "progress_group", "started")

    def __init__(
        self,
        reporter: Reporter,
        digest: str,
        name: str,
        inputs: tuple[str, ...],
        progress_group: ProgressGroup | None = None,
    ) -> None:
        self._reporter = reporter
        self.progress_group = progress_group
        self.digest = digest
        self.name = name
        self.inputs = inputs
        self.started: float | None = None

    def _event(self, completed: float | None, *, cached: bool = False, error: str | None = None) -> None:
        self._reporter.emit(
            VertexEvent(
                self.digest,
                self.name,
                self.inputs,
                self.started,
                completed,
                cached,
                error,
                self.progress_group,
            )
        )

    def start(self) -> None:
        if self.started is None:
            self.started = time.time()
        self._event(None)

    def done(self) -> None:
        if self.started is None:
            self.started = time.time()
        self._event(time.time())

    def cached(self) -> None:
        if self.started is None:
            self.started = time.time()
        self._event(time.time(), cached=True)

    def fail(self, error: str) -> None:
        if self.started is None:
            self.started = time.time()
        self._event(time.time(), error=error)

    def log(self, stream: int, data: bytes) -> None:
        self._reporter.emit(LogEvent(self.digest, stream, data, time.time()))

    def warn(self, warning: WarningEvent) -> None:
        self._reporter.emit(warning)

    def status(self, id: str, total: int = 0) -> "StatusReporter":
        """Opens a status line of this vertex; close it with `finish` (or use it as a context manager)."""
        return StatusReporter(self._reporter, self.digest, id, total)


class StatusReporter:
    """One status line. `advance` is cheap: it emits at most every 100 ms."""

    __slots__ = ("_last", "_reporter", "current", "id", "started", "total", "vertex")

    def __init__(self, reporter: Reporter, vertex: str, id: str, total: int) -> None:
        self._reporter = reporter
        self.vertex = vertex
        self.id = id
        self.total = total
        self.current = 0
        self.started = time.time()
        self._last = 0.0
        self._emit(None)

    def _emit(self, completed: float | None) -> None:
        now = time.time()
        self._last = now
        self._reporter.emit(
            StatusEvent(self.vertex, self.id, self.current, self.total, now, self.started, completed)
        )

    def advance(self, count: int) -> None:
        self.current += count
        if time.time() - self._last >= 0.1:
            self._emit(None)

    def finish(self) -> None:
        self._emit(time.time())

    def __enter__(self) -> "StatusReporter":
        return self

    def __exit__(self, *exc: object) -> None:
        self.finish()


def null_reporter() -> Reporter:
    """A reporter that drops everything, for library calls and tests."""
    return Reporter(lambda event: None)
