"""Names of vertices on the display of a build of several targets."""

from __future__ import annotations

from bakehouse.progress.events import Event, Reporter, VertexEvent


def prefixed(target: str, name: str) -> str:
    """The display name of a vertex of `target` among several: `[app internal] load …`, `[app] exporting …`."""
    return f"[{target} {name[1:]}" if name.startswith("[") else f"[{target}] {name}"


def prefixing(reporter: Reporter, target: str) -> Reporter:
    """A reporter that shows every vertex as one of `target`."""

    def emit(event: Event) -> None:
        if isinstance(event, VertexEvent):
            event.name = prefixed(target, event.name)
        reporter.emit(event)

    return Reporter(emit)
