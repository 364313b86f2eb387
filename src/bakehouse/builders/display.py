"""How vertices and errors of a build are introduced to the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bakehouse.errors import BakehouseError
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


@contextmanager
def solving() -> Iterator[None]:
    """Marks errors of the block as ones that arose while a build was solved, which is how clients introduce them."""
    try:
        yield
    except BakehouseError as error:
        error.during = error.during or "failed to solve: "
        raise
