"""The live display: one line a step, redrawn in place (engine.md §16.1).

Every frame is written at once and leaves the cursor visible and below the display, so that the terminal is in
order whenever the process is stopped. Nothing that comes from a build can send escape sequences to the
terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TextIO

from bakehouse.progress import ansi
from bakehouse.progress.events import Event, LogEvent
from bakehouse.progress.logview import LogView
from bakehouse.progress.renderer import Clock, TraceRenderer
from bakehouse.progress.trace import Interval, TracedVertex, format_transfer
from bakehouse.values import dataclass

#: Gives the terminal's (columns, rows); asked before every frame, since terminals are resized.
Size = Callable[[], tuple[int, int]]

_PREFIX = " => "
_LOG_PREFIX = " => => # "
_LOG_INDENT = 10
_MIN_LOG_LINES = 6
_MIN_NAME_COLUMNS = 12


@dataclass(slots=True)
class _Job:
    """One line of the display. `role` is the colour once it is done."""

    name: str
    intervals: list[Interval]
    is_completed: bool
    role: str = "run"
    status: str = ""
    vertex: TracedVertex | None = None
    shows_log: bool = False


@dataclass(slots=True)
class _Output:
    """A step's log window, and what decides which windows are shown: bytes written, frames shown."""

    view: LogView
    bytes_written: int = 0
    frames_shown: int = 0


class TtyRenderer(TraceRenderer):
    """Draws the display on a terminal. `phase` is the header's verb, `description` stands at its right.

    Environment: `NO_COLOR`, `BUILDKIT_COLORS`, `BUILDKIT_TTY_LOG_LINES`, `TTY_DISPLAY_RATE`.
    """

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        size: Size,
        *,
        phase: str = "Building",
        description: str = "",
        clock: Clock = time.time,
        background: bool = True,
    ) -> None:
        super().__init__(stream, environ, clock=clock, background=background)
        self._size = size
        self._phase = phase
        self._description = ansi.sanitized(description)
        self._palette = ansi.Palette(environ)
        self._max_log_lines = _log_lines(environ)
        self._outputs: dict[str, _Output] = {}
        self._drawn_widths: list[int] = []

    def handle(self, event: Event) -> None:
        if isinstance(event, LogEvent):
            with self._lock:
                self._feed(event)
        super().handle(event)

    def _feed(self, event: LogEvent) -> None:
        vertex = self._trace.find(event.vertex)
        if vertex is None or self._closing.is_set():
            return
        output = self._outputs.get(vertex.digest)
        if output is None:
            columns, rows = self._size()
            view = LogView(self._log_rows(rows), columns - _LOG_INDENT)
            output = self._outputs[vertex.digest] = _Output(view)
        output.bytes_written += len(event.data)
        output.view.feed(event.data)

    def _shown_name(self, vertex: TracedVertex) -> str:
        return ansi.sanitized(vertex.name)

    def _last_log_lines(self, vertex: TracedVertex) -> list[str]:
        return [_with_stamp(line) for line in vertex.log_lines]

    def _log_rows(self, rows: int) -> int:
        return max(_MIN_LOG_LINES, min(self._max_log_lines, rows - _MIN_LOG_LINES - 1))

    def _draw(self, final: bool) -> None:
        columns, rows = self._size()
        now = self._clock()
        jobs = self._jobs()
        if not final:
            jobs = self._fit(jobs, rows)
        lines = [self._header(now, columns, final)]
        for job in jobs:
            line = self._job_line(job, now, columns)
            if line is None:
                continue
            lines.append(line)
            if job.shows_log and job.vertex is not None:
                lines += self._log_window(job.vertex, columns, rows)
        self._write_frame(lines, columns)

    def _write_frame(self, lines: list[tuple[str, int]], columns: int) -> None:
        """Writes the lines (text with colours, width) over the last frame.

        A terminal that got narrower has wrapped the last frame's lines, which then take more rows.
        """
        rows_back = sum(max(1, -(-drawn // max(columns, 1))) for drawn in self._drawn_widths)
        body = "".join(f"{text}{ansi.CLEAR_LINE_RIGHT}\r\n" for text, _ in lines)
        self._drawn_widths = [columns_used for _, columns_used in lines]
        self._write(ansi.HIDE_CURSOR + ansi.up(rows_back) + body + ansi.CLEAR_BELOW + ansi.SHOW_CURSOR)

    def _header(self, now: float, columns: int, final: bool) -> tuple[str, int]:
        completed, total = self._trace.completed, self._trace.total
        started = now if self._trace.start_time is None else self._trace.start_time
        text = f"[+] {self._phase} {max(0.0, now - started):.1f}s ({completed}/{total})"
        if final and completed and completed == total:
            text += " FINISHED"
        if self._description:
            text = ansi.aligned(text, self._description, columns - 1)
        text = ansi.truncated(text, columns - 1)
        return text, ansi.width(text)

    def _jobs(self) -> list[_Job]:
        jobs: list[_Job] = []
        for vertex in self._trace.started:
            jobs.append(_vertex_job(vertex))
            for status in vertex.statuses.values():
                if status.started is None:
                    continue
                interval = Interval(status.started, status.completed)
                done = status.completed is not None
                name = "=> " + ansi.sanitized(status.id)
                jobs.append(_Job(name, [interval], done, status=format_transfer(status)))
            for warning in vertex.warnings:
                name = "WARN: " + ansi.sanitized(warning.short)
                jobs.append(_Job(name, vertex.merged[-1:], False, role="cancel"))
        return jobs

    def _fit(self, jobs: list[_Job], rows: int) -> list[_Job]:
        """The jobs that fit on the screen, the busiest steps' log windows among them."""
        busy = [job for job in jobs if not job.is_completed and self._output_of(job) is not None]
        busy.sort(key=self._log_priority, reverse=True)
        free = rows - 2 - sum(not job.is_completed for job in jobs)
        needed = self._log_rows(rows) + 3
        taken = 0
        for job in busy:
            if free <= needed:
                break
            output = self._output_of(job)
            assert output is not None
            job.shows_log = True
            output.frames_shown += 1
            taken += len(output.view.lines())
            free -= needed
        return _newest_and_running(jobs, rows - 2 - taken)

    def _output_of(self, job: _Job) -> _Output | None:
        return None if job.vertex is None else self._outputs.get(job.vertex.digest)

    def _log_priority(self, job: _Job) -> int:
        """More output comes first; what has been shown stays, so that windows do not jump."""
        output = self._output_of(job)
        return 0 if output is None else output.bytes_written + 50 * output.frames_shown

    def _job_line(self, job: _Job, now: float, columns: int) -> tuple[str, int] | None:
        """The line of a job, or None where there is no room to show anything useful."""
        if not job.intervals:
            return None
        seconds = sum(interval.duration(now) for interval in job.intervals)
        timer = f" {0.0 if seconds < 0.05 else seconds:.1f}s"
        room = columns - len(_PREFIX) - len(timer) - 2
        status = job.status
        if status and room + len(status) > 20:
            room -= len(status) + 1
        else:
            status = ""
        if room < _MIN_NAME_COLUMNS:
            return None
        text = _PREFIX + ansi.truncated(job.name, room)
        if status:
            text += " " + status
        text = ansi.aligned(text, timer, columns - 1)
        drawn = ansi.width(text)
        return (self._palette.paint(job.role, text) if job.is_completed else text), drawn

    def _log_window(self, vertex: TracedVertex, columns: int, rows: int) -> list[tuple[str, int]]:
        view = self._outputs[vertex.digest].view
        view.resize(self._log_rows(rows), columns - _LOG_INDENT)
        texts = [ansi.truncated(_LOG_PREFIX + line, columns - 1) for line in view.lines()]
        return [(self._palette.faint(text), ansi.width(text)) for text in texts]


def _log_lines(environ: Mapping[str, str]) -> int:
    text = environ.get("BUILDKIT_TTY_LOG_LINES", "")
    if text.isascii() and text.isdigit() and int(text[:6]) > 0:
        return int(text[:6])
    return _MIN_LOG_LINES


def _with_stamp(line: str) -> str:
    """A log line as a terminal leaves it; the time before it stays."""
    stamp, _, text = line.partition(" ")
    return f"{stamp} {ansi.as_shown(text)}"


def _vertex_job(vertex: TracedVertex) -> _Job:
    name, role = ansi.sanitized(vertex.name), "run"
    if vertex.is_canceled:
        name, role = "CANCELED " + name, "cancel"
    elif vertex.error:
        name, role = "ERROR " + name, "error"
    if vertex.cached:
        name = "CACHED " + name
    return _Job(name, vertex.merged, vertex.is_completed, role=role, vertex=vertex)


def _newest_and_running(jobs: list[_Job], limit: int) -> list[_Job]:
    """At most `limit` jobs: the last ones, completed ones among them making room for running ones further
    up."""
    if limit <= 0:
        return []
    if len(jobs) <= limit:
        return jobs
    hidden, shown = jobs[:-limit], jobs[-limit:]
    running = [job for job in hidden if not job.is_completed]
    spare = sum(job.is_completed for job in shown)
    moved = running[-min(len(running), spare) :] if running and spare else []
    to_drop = len(moved)
    kept: list[_Job] = []
    for job in shown:
        if job.is_completed and to_drop:
            to_drop -= 1
        else:
            kept.append(job)
    return moved + kept
