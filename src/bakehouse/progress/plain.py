"""The plain renderer: blocks of lines `#N …`, for logs and terminals that cannot move the cursor (engine.md §16.1).

One vertex is on top at a time. It stays there for some seconds even when others have more to say, so that lines of one step
stay together; completed vertices are always printed at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TextIO

from bakehouse.progress.events import StatusEvent
from bakehouse.progress.renderer import Clock, TraceRenderer
from bakehouse.progress.trace import ERROR_LOG_LINES, TracedVertex, format_transfer

_ANTI_FLICKER_S = 5.0
_MAX_DELAY_S = 10.0
_MIN_STATUS_DELTA_S = 5.0
_MIN_STATUS_PROGRESS = 0.05
_SHORT_NAME = 72


class PlainRenderer(TraceRenderer):
    """Writes every change as text. `description` becomes the line `#0`; `PROGRESS_NO_TRUNC=0` shortens long names."""

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        description: str = "",
        clock: Clock = time.time,
        background: bool = True,
    ) -> None:
        super().__init__(stream, environ, clock=clock, background=background)
        self._description = description
        self._truncates = environ.get("PROGRESS_NO_TRUNC") == "0"
        self._current: TracedVertex | None = None
        self._has_output = False
        self._next_index = 1
        self._shown_statuses: dict[tuple[str, str], StatusEvent] = {}
        self._partial_shown: dict[str, int] = {}
        self._tails: dict[str, deque[str]] = {}
        self._out: list[str] = []

    def _draw(self, final: bool) -> None:
        self._print_updates()
        text = "".join(self._out)
        self._out.clear()
        self._write(text)

    def _last_log_lines(self, digest: str) -> list[str]:
        return list(self._tails.get(digest, ()))

    def _print_updates(self) -> None:
        vertices = [self._trace.vertices[digest] for digest in self._trace.updated]
        completed = sorted((v for v in vertices if v.is_completed), key=lambda v: v.completed_at)
        open_ones = [vertex for vertex in vertices if not vertex.is_completed]
        before = self._current
        if before is not None and before in completed:
            self._print(before)
        for vertex in completed:
            if vertex is not before:
                self._print(vertex)
        if not open_ones:
            self._fill_top(before)
            return
        if before is not None and before in open_ones:
            self._print(before)
        candidate = self._choose(before, open_ones, top_is_free=before is None or before in completed)
        if candidate is not None:
            self._print(candidate)

    def _fill_top(self, before: TracedVertex | None) -> None:
        """Puts any running vertex on top when nothing else wants to be there."""
        if before is not None and before.is_started and not before.is_completed:
            return
        running = (v for v in self._trace.vertices.values() if v.is_started and not v.is_completed)
        vertex = next(running, None)
        if vertex is not None:
            self._print(vertex)

    def _choose(
        self, current: TracedVertex | None, open_ones: list[TracedVertex], *, top_is_free: bool
    ) -> TracedVertex | None:
        """Which vertex to put on top: the busiest when the place is free, else one that has waited too long or, after a
        while that grows with the present one's share of all output, the busiest."""
        now = self._clock()
        rivals = list(open_ones)
        if current is not None and current not in rivals:
            rivals.append(current)
        speeds = {v.digest: v.events_seen / max(now - v.block_started, 1e-9) for v in rivals}
        overdue = [v for v in rivals if v is not current and now - v.block_started > _MAX_DELAY_S]
        busiest = overdue[-1] if overdue else max(rivals, key=lambda v: speeds[v.digest])
        if top_is_free or current is None:
            return busiest
        if overdue:
            return overdue[0]
        share = speeds[current.digest] / (sum(speeds.values()) or 1.0)
        held = now - current.block_started
        if share < 1.0 and _ANTI_FLICKER_S / (1.0 - share) < held:
            return busiest
        return None

    def _print(self, vertex: TracedVertex) -> None:
        """Prints all that is pending for `vertex`, after a header when it was not on top."""
        if not vertex.index:
            vertex.index = self._next_index
            self._next_index += 1
        if vertex is not self._current:
            self._leave_top()
            self._print_header(vertex)
        has_open_status = self._print_statuses(vertex)
        shown = len(vertex.warnings)
        for warning in vertex.warnings[self._warned(vertex) :]:
            self._line(vertex, f"WARN: {warning.short}")
        self._warnings_shown[vertex.digest] = shown
        self._print_logs(vertex)
        self._current = vertex
        if vertex.is_completed and not has_open_status:
            self._print_end(vertex)
            self._current = None
            vertex.events_seen = 0
        self._trace.updated.pop(vertex.digest, None)
