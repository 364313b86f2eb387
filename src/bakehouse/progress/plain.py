"""The plain renderer: blocks of lines `#N …`, for logs and terminals that cannot move the cursor (engine.md
§16.1).

One vertex is on top at a time. It stays there for some seconds even when others have more to say, so that
lines of one step stay together; completed vertices are always printed at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TextIO

from bakehouse.progress.events import StatusEvent
from bakehouse.progress.renderer import Clock, TraceRenderer
from bakehouse.progress.trace import ERROR_LOG_LINES, TracedVertex, format_transfer
from bakehouse.values import dataclass, field

_ANTI_FLICKER_S = 5.0
_MAX_DELAY_S = 10.0
_MIN_STATUS_DELTA_S = 5.0
_MIN_STATUS_PROGRESS = 0.05
_SHORT_NAME = 72


@dataclass(slots=True)
class _Block:
    """What has been printed of one vertex. `offset` is how much of its first pending line already stands on
    the screen, the line being unfinished; `tail` its last complete lines."""

    index: int
    warnings_shown: int = 0
    offset: int = 0
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=ERROR_LOG_LINES))


class PlainRenderer(TraceRenderer):
    """Writes every change as text. `description` becomes the line `#0`; `PROGRESS_NO_TRUNC=0` shortens long
    names."""

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
        self._blocks: dict[str, _Block] = {}
        #: The status last printed under each name: steps that transfer the same layer take turns, as in BuildKit.
        self._statuses: dict[str, StatusEvent] = {}
        self._out: list[str] = []

    def _draw(self, final: bool) -> None:
        self._print_updates()
        text = "".join(self._out)
        self._out.clear()
        self._write(text)

    def _last_log_lines(self, vertex: TracedVertex) -> list[str]:
        block = self._blocks.get(vertex.digest)
        return [*(block.tail if block else ()), *vertex.log_lines][-ERROR_LOG_LINES:]

    def _print_updates(self) -> None:
        updated = (self._trace.vertices[digest] for digest in self._trace.updated)
        vertices = [vertex for vertex in updated if not vertex.hidden]
        completed = sorted((v for v in vertices if v.is_completed), key=lambda v: v.completed_at)
        waiting = [vertex for vertex in vertices if not vertex.is_completed]
        before = self._current
        if before is not None and before in completed:
            self._print(before)
        for vertex in completed:
            if vertex is not before:
                self._print(vertex)
        if not waiting:
            self._fill_top(before)
            return
        if before is not None and before in waiting:
            self._print(before)
        chosen = self._choose(before, waiting, top_is_free=before is None or before in completed)
        if chosen is not None:
            self._print(chosen)

    def _fill_top(self, before: TracedVertex | None) -> None:
        """Puts any running vertex on top when nothing else wants to be there."""
        if before is not None and before.is_started and not before.is_completed:
            return
        running = (v for v in self._trace.started if not v.is_completed)
        vertex = next(running, None)
        if vertex is not None:
            self._print(vertex)

    def _choose(
        self, current: TracedVertex | None, waiting: list[TracedVertex], *, top_is_free: bool
    ) -> TracedVertex | None:
        """Which vertex to put on top: the busiest when the place is free, else one that has waited too long
        or, after a while that grows with the present one's share of all output, the busiest."""
        now = self._clock()
        rivals = list(waiting)
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
        if share < 1.0 and _ANTI_FLICKER_S / (1.0 - share) < now - current.block_started:
            return busiest
        return None

    def _print(self, vertex: TracedVertex) -> None:
        """Prints all that is pending for `vertex`, after a header when it was not on top."""
        block = self._blocks.get(vertex.digest)
        if block is None:
            block = self._blocks[vertex.digest] = _Block(len(self._blocks) + 1)
        if vertex is not self._current:
            self._leave_top()
            self._print_header(vertex, block)
        has_open_status = self._print_statuses(vertex, block)
        for warning in vertex.warnings[block.warnings_shown :]:
            self._line(block, f"WARN: {warning.short}")
        block.warnings_shown = len(vertex.warnings)
        self._print_logs(vertex, block)
        self._current = vertex
        if vertex.is_completed and not has_open_status:
            self._current = None
            vertex.events_seen = 0
            if vertex.log_is_partial:
                self._out.append("\n")
            self._line(block, self._ending(vertex))
        self._trace.updated.pop(vertex.digest, None)

    def _line(self, block: _Block, text: str) -> None:
        self._out.append(f"#{block.index} {text}\n")

    def _leave_top(self) -> None:
        """Marks the vertex on top as continued later. Its unfinished line will then be printed again from the
        start."""
        vertex = self._current
        if vertex is None:
            return
        block = self._blocks[vertex.digest]
        if vertex.log_is_partial:
            self._out.append("\n")
        block.offset = 0
        vertex.events_seen = 0
        self._line(block, "...")

    def _print_header(self, vertex: TracedVertex, block: _Block) -> None:
        if self._has_output:
            self._out.append("\n")
        elif self._description:
            self._out.append(f"#0 {self._description}\n\n")
        self._has_output = True
        name = vertex.name
        if self._truncates and len(name) > _SHORT_NAME:
            name = name[:_SHORT_NAME] + "..."
        self._line(block, name)

    def _print_statuses(self, vertex: TracedVertex, block: _Block) -> bool:
        """Prints the statuses that changed enough, and tells whether one that is printed goes on."""
        has_open_status = False
        for status in vertex.statuses.values():
            if status.id not in vertex.changed_statuses or not _worth_printing(status, self._statuses):
                continue
            self._statuses[status.id] = status
            transfer = format_transfer(status)
            line = f"{status.id} {transfer}" if transfer else status.id
            if status.started is not None:
                end = status.timestamp if status.completed is None else status.completed
                if end - status.started > 0.01:
                    line += f" {end - status.started:.1f}s"
            if status.completed is not None:
                line += " done"
            else:
                has_open_status = True
            self._line(block, line)
        vertex.changed_statuses.clear()
        return has_open_status

    def _print_logs(self, vertex: TracedVertex, block: _Block) -> None:
        lines = vertex.log_lines
        for number, line in enumerate(lines):
            continues = number == 0 and block.offset > 0
            self._out.append(line[block.offset :] if continues else f"#{block.index} {line}")
            if number == len(lines) - 1 and vertex.log_is_partial:
                block.offset = len(line)
                break
            self._out.append("\n")
            block.tail.append(line)
        else:
            block.offset = 0
        vertex.log_lines = lines[-1:] if vertex.log_is_partial else []

    def _ending(self, vertex: TracedVertex) -> str:
        if vertex.is_canceled:
            return "CANCELED"
        if vertex.error:
            return f"ERROR: {vertex.error}"
        return "CACHED" if vertex.cached else f"DONE {vertex.duration(self._clock()):.1f}s"


def _worth_printing(status: StatusEvent, shown: Mapping[str, StatusEvent]) -> bool:
    """A status is repeated when it ends, after 5 % more, or after 5 s."""
    last = shown.get(status.id)
    if last is None or status.completed is not None:
        return True
    progress = (status.current - last.current) / status.total if status.total > 0 else 0.0
    return progress >= _MIN_STATUS_PROGRESS or status.timestamp - last.timestamp >= _MIN_STATUS_DELTA_S
