"""What the display was told already, when one command solves more than once."""

from __future__ import annotations

from bakehouse.progress.events import Event, Reporter, VertexEvent


class ShownVertices:
    """Keeps a vertex that one solve finished from being shown again by the next, which finds it done."""

    def __init__(self) -> None:
        self._finished: set[str] = set()

    def reporter(self, reporter: Reporter) -> Reporter:
        """The reporter of one more solve. Only a failure of a vertex that was finished before is passed on."""
        before = frozenset(self._finished)

        def emit(event: Event) -> None:
            if isinstance(event, VertexEvent):
                if event.digest in before and event.error is None:
                    return
                if event.completed is not None and event.error is None:
                    self._finished.add(event.digest)
            reporter.emit(event)

        return Reporter(emit)
