"""What all renderers share: the protocol, the lock, the pace and the refresh thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

from bakehouse.progress.events import Event, WarningEvent
from bakehouse.progress.trace import Trace, TracedVertex

Clock = Callable[[], float]

_REFRESH_S = 0.15
_MIN_REDRAW_S = 0.1


class Renderer(Protocol):
    """Shows the events of one build. `handle` may be called from any thread, also after `close` (then it does
    nothing).

    `close` shows what is left, restores the terminal and stops the renderer's thread; `error` tells that the
    build failed. A stream that cannot be written to any more silences the renderer: a closed pipe must not
    fail a build.
    """

    def handle(self, event: Event) -> None: ...

    def close(self, error: bool = False) -> None: ...


class Pace:
    """How often to draw: at once for the first event, then at most every `min_redraw_s`, and every
    `refresh_s` when no event comes. `TTY_DISPLAY_RATE` (milliseconds) sets both."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.refresh_s, self.min_redraw_s = _REFRESH_S, _MIN_REDRAW_S
        rate = environ.get("TTY_DISPLAY_RATE", "")
        if rate.isascii() and rate.isdigit() and int(rate[:9]) > 0:
            self.refresh_s = self.min_redraw_s = int(rate[:9]) / 1000
        self._last = float("-inf")

    def allows(self, now: float) -> bool:
        if now - self._last < self.min_redraw_s:
            return False
        self._last = now
        return True


class TraceRenderer:
    """A renderer that draws a `Trace`. Subclasses implement `_draw(final)`, called with the lock held.

    With `background=False` nothing is drawn between events, which is what tests want.
    """

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        clock: Clock = time.time,
        background: bool = True,
    ) -> None:
        self.warnings: list[WarningEvent] = []
        self._stream = stream
        self._clock = clock
        self._pace = Pace(environ)
        self._trace = Trace()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._silenced = False
        self._thread: threading.Thread | None = None
        self._background = background

    def _draw(self, final: bool) -> None:
        raise NotImplementedError

    def handle(self, event: Event) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            now = self._clock()
            self._trace.add(event, now)
            if isinstance(event, WarningEvent):
                self.warnings.append(event)
            if self._background and self._thread is None:
                self._thread = threading.Thread(target=self._refresh_forever, name="progress", daemon=True)
                self._thread.start()
            if self._pace.allows(now):
                self._draw(False)

    def refresh(self) -> None:
        """Draws the present state, as the background thread does when no event comes."""
        with self._lock:
            if not self._closing.is_set():
                self._draw(False)

    def close(self, error: bool = False) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            if error:
                self._trace.cancel_open(self._clock())
            self._draw(True)
            self._write("".join(self._error_logs()))
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _refresh_forever(self) -> None:
        while not self._closing.wait(self._pace.refresh_s):
            self.refresh()

    def _error_logs(self) -> list[str]:
        """The last lines of every step that failed, framed."""
        out: list[str] = []
        for vertex in self._trace.started:
            if vertex.has_failed:
                out.append(f"------\n > {self._shown_name(vertex)}:\n")
                out += (line + "\n" for line in self._last_log_lines(vertex))
                out.append("------\n")
        return out

    def _shown_name(self, vertex: TracedVertex) -> str:
        return vertex.name

    def _last_log_lines(self, vertex: TracedVertex) -> list[str]:
        """What of a failed step's output is repeated at the end."""
        raise NotImplementedError

    def _write(self, text: str) -> None:
        if self._silenced or not text:
            return
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe or a closed stream
            self._silenced = True
