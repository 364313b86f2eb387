"""Which target a line of the progress display belongs to, said the way buildx does when it builds several at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bakehouse.builders.display import prefixed
from bakehouse.builders.plan import PlannedTarget
from bakehouse.builders.sessions import linked_first
from bakehouse.engine.exporters.model import export_digest
from bakehouse.engine.graph import post_order
from bakehouse.progress.events import Event, Reporter, VertexEvent


def with_target_names(
    reporter: Reporter,
    planned: Mapping[str, PlannedTarget],
    caches: Mapping[str, Iterable[str]],
    *,
    several: bool,
) -> Reporter:
    """A reporter that puts the target's name in front of a vertex's own: `[app 1/2] FROM …`, `[app] exporting …`.

    A vertex that several targets share bears the name of the first. `caches` are the vertices of each target's caches.
    Without `several` targets nothing changes.
    """
    if not several:
        return reporter
    owners: dict[str, str] = {}
    for name, digests in caches.items():
        for digest in digests:
            owners.setdefault(digest, name)
    for name in linked_first(planned):
        item = planned[name]
        edges = [platform.edge for platform in item.lowered.platforms]
        for edge in (*edges, *item.scans):
            if edge is not None:
                for vertex in post_order([edge]):
                    owners.setdefault(vertex.digest, name)
        for number in range(max(1, len(item.target.output or ()))):
            for title in EXPORT_TITLES:
                owners[export_digest(export_id(name, number), title)] = name

    def emit(event: Event) -> None:
        if isinstance(event, VertexEvent):
            owner = owners.get(event.digest)
            if owner is not None:
                event.name = prefixed(owner, event.name)
        reporter.emit(event)

    return Reporter(emit)


EXPORT_TITLES = (
    "exporting to image",
    "exporting to oci image format",
    "exporting to docker image format",
    "exporting to client directory",
    "exporting to client tarball",
    "importing to docker",
    "importing to podman",
)


def export_id(target: str, number: int) -> str:
    """What tells the exports of one command apart: output `number` of a target."""
    return f"{target}-{number}"


def cache_id(target: str, number: int) -> str:
    """What tells the caches of one command apart: entry `number` of a target's `cache-to`."""
    return f"{target}-cache-{number}"
