"""What is known of a running build: the state that the text renderers draw, made of events (engine.md §16).

Not thread-safe: a renderer holds its own lock. Times are seconds since the epoch. No output here.
"""

from __future__ import annotations

import codecs

from bakehouse.progress.events import Event, LogEvent, StatusEvent, VertexEvent, WarningEvent
from bakehouse.values import dataclass, field

_BYTE_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")

CANCELED = "context canceled"

#: BuildKit's own limits: how many last lines of a failed step are repeated at the end.
ERROR_LOG_LINES = 10


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time in which a vertex worked; `stop` is None while it still does."""

    start: float
    stop: float | None = None

    def duration(self, now: float) -> float:
        return max(0.0, (now if self.stop is None else self.stop) - self.start)


def merge_intervals(intervals: list[Interval]) -> list[Interval]:
    """Sorted intervals without overlaps. One that does not end swallows all that begin after it."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: interval.start):
        last = merged[-1] if merged else None
        if last is None or (last.stop is not None and last.stop < interval.start):
            merged.append(interval)
        elif last.stop is None:
            break
        elif interval.stop is None or interval.stop > last.stop:
            merged[-1] = Interval(last.start, interval.stop)
    return merged


@dataclass(slots=True, eq=False)
class TracedVertex:
    """One line of the display: a vertex, or all vertices of one progress group.

    `events_seen` and `block_started` measure how much it has to say since it was last on top (plain
    renderer). Pending output (`log_lines`, `changed_statuses`) is taken by the renderer. `hidden`: a group of
    which only weak members have worked so far, which is not to be shown.
    """

    digest: str
    name: str
    cached: bool = False
    error: str = ""
    intervals: dict[float, Interval] = field(default_factory=dict)
    merged: list[Interval] = field(default_factory=list)
    statuses: dict[str, StatusEvent] = field(default_factory=dict)
    changed_statuses: set[str] = field(default_factory=set)
    warnings: list[WarningEvent] = field(default_factory=list)
    log_lines: list[str] = field(default_factory=list)
    log_is_partial: bool = False
    decoder: codecs.IncrementalDecoder | None = None
    members: dict[str, VertexEvent] = field(default_factory=dict)
    hidden: bool = False
    events_seen: int = 0
    block_started: float = 0.0

    @property
    def is_started(self) -> bool:
        return bool(self.merged)

    @property
    def is_completed(self) -> bool:
        return bool(self.merged) and self.merged[-1].stop is not None

    @property
    def is_canceled(self) -> bool:
        return self.error.endswith(CANCELED)

    @property
    def has_failed(self) -> bool:
        return self.error != "" and not self.is_canceled

    @property
    def completed_at(self) -> float:
        """When it completed; infinity while it has not."""
        stop = self.merged[-1].stop if self.merged else None
        return float("inf") if stop is None else stop

    def duration(self, now: float) -> float:
        return sum(interval.duration(now) for interval in self.merged)

    def note(self, now: float) -> None:
        """Counts one more thing to show."""
        if self.events_seen == 0:
            self.block_started = now
        self.events_seen += 1

    def add_interval(self, event: VertexEvent) -> None:
        if event.started is not None:
            self.intervals[event.started] = Interval(event.started, event.completed)
            self.merged = merge_intervals(list(self.intervals.values()))


class Trace:
    """All vertices seen; `started` has those to be shown, in the order in which they started. `updated` holds
    the digests with something new to show.

    Of a vertex's log at least the last `kept_lines` lines are kept until somebody takes them.
    """

    def __init__(self, kept_lines: int = 5000) -> None:
        self._kept_lines = kept_lines
        self.vertices: dict[str, TracedVertex] = {}
        self.started: list[TracedVertex] = []
        self.updated: dict[str, None] = {}
        self.start_time: float | None = None
        self._by_digest: dict[str, TracedVertex] = {}

    @property
    def total(self) -> int:
        return sum(not vertex.hidden for vertex in self.vertices.values())

    @property
    def completed(self) -> int:
        return sum(vertex.is_completed and not vertex.hidden for vertex in self.vertices.values())

    def add(self, event: Event, now: float) -> None:
        if isinstance(event, VertexEvent):
            self._add_vertex(event, now)
        elif isinstance(event, StatusEvent):
            self._add_status(event, now)
        elif isinstance(event, LogEvent):
            self._add_log(event, now)
        else:
            vertex = self._by_digest.get(event.vertex)
            if vertex is not None:
                vertex.warnings.append(event)
                self._touch(vertex, now)

    def find(self, digest: str) -> TracedVertex | None:
        """The line on which the vertex `digest` is shown."""
        return self._by_digest.get(digest)

    def cancel_open(self, now: float) -> None:
        """Completes everything that is still open as cancelled: the build is over, whatever it failed to
        report."""
        for vertex in self.vertices.values():
            if vertex.is_started and not vertex.is_completed:
                for start, interval in vertex.intervals.items():
                    if interval.stop is None:
                        vertex.intervals[start] = Interval(start, now)
                vertex.merged = merge_intervals(list(vertex.intervals.values()))
                vertex.error = vertex.error or CANCELED
                self._show(vertex)
                self._touch(vertex, now)

    def _touch(self, vertex: TracedVertex, now: float) -> None:
        vertex.note(now)
        self.updated[vertex.digest] = None

    def _add_vertex(self, event: VertexEvent, now: float) -> None:
        if self.start_time is None:
            self.start_time = event.started
        group = event.progress_group
        key = event.digest if group is None else f"group:{group.id}"
        vertex = self.vertices.get(key)
        if vertex is None:
            name = event.name if group is None else group.name
            vertex = TracedVertex(key, name, hidden=group is not None)
            self.vertices[key] = vertex
        self._by_digest[event.digest] = vertex
        was_started, was_hidden = vertex.is_started, vertex.hidden
        before = (vertex.name, vertex.cached, vertex.error, vertex.intervals.get(event.started or 0.0))
        if group is not None:
            self._add_to_group(vertex, event)
        elif event.started is not None or not was_started:  # a late announcement must not reset anything
            vertex.name, vertex.cached, vertex.error = event.name, event.cached, event.error or ""
        vertex.add_interval(event)
        after = (vertex.name, vertex.cached, vertex.error, vertex.intervals.get(event.started or 0.0))
        changed = before != after or was_hidden != vertex.hidden
        if event.started is not None and changed and not vertex.hidden:
            self._touch(vertex, now)
        if group is None and vertex.is_started and not was_started:
            self.started.append(vertex)

    def _add_to_group(self, vertex: TracedVertex, event: VertexEvent) -> None:
        """A group is cached when all its members are; its error is the first that one of them had. What is heard of
        a group after an error, if only that it has another member, shows it too, as in BuildKit."""
        vertex.members[event.digest] = event
        vertex.cached = all(member.cached for member in vertex.members.values())
        for member in vertex.members.values():
            weak = member.progress_group is None or member.progress_group.weak
            if vertex.error or (member.started is not None and not weak):
                self._show(vertex)
            vertex.error = vertex.error or member.error or ""

    def _show(self, vertex: TracedVertex) -> None:
        if vertex.hidden:
            vertex.hidden = False
            self.started.append(vertex)

    def _add_status(self, event: StatusEvent, now: float) -> None:
        vertex = self._by_digest.get(event.vertex)
        if vertex is not None:
            vertex.statuses[event.id] = event
            vertex.changed_statuses.add(event.id)
            self._touch(vertex, now)

    def _add_log(self, event: LogEvent, now: float) -> None:
        """Appends to the pending lines, each behind the time since the vertex started. Empty data ends no
        line."""
        vertex = self._by_digest.get(event.vertex)
        if vertex is None or not event.data:
            return
        began = vertex.merged[-1].start if vertex.merged else event.timestamp
        stamp = log_stamp(event.timestamp - began)
        if vertex.decoder is None:
            vertex.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        *lines, rest = vertex.decoder.decode(event.data).split("\n")
        pieces = [*lines, rest] if rest else lines
        for number, piece in enumerate(pieces):
            if number == 0 and vertex.log_is_partial and vertex.log_lines:
                vertex.log_lines[-1] += piece
            else:
                vertex.log_lines.append(f"{stamp} {piece}")
        if pieces:
            vertex.log_is_partial = rest != ""
        if len(vertex.log_lines) > 2 * self._kept_lines:
            del vertex.log_lines[: -self._kept_lines]
        self._touch(vertex, now)


def log_stamp(seconds: float) -> str:
    """The time of a log line in three to four significant digits: `0.123`, `12.34`, `123.4`."""
    precision = 3 if seconds < 10 else 2 if seconds < 100 else 1
    return f"{seconds:.{precision}f}"


def format_bytes(count: int) -> str:
    """Decimal units with two digits, as BuildKit prints them: `999B`, `1.23kB`, `45.00MB`."""
    if abs(count) < 1000:
        return f"{count}B"
    power = min((len(str(abs(count))) - 1) // 3, len(_BYTE_UNITS))
    return f"{count / 1000**power:.2f}{_BYTE_UNITS[power - 1]}"


def format_transfer(status: StatusEvent) -> str:
    """`current / total`, `current`, or nothing."""
    if status.total:
        return f"{format_bytes(status.current)} / {format_bytes(status.total)}"
    return format_bytes(status.current) if status.current else ""
