"""Finds the Dockerfile lines behind a vertex that failed."""

from __future__ import annotations

from collections.abc import Sequence

from bakehouse.diagnostics import render_excerpt
from bakehouse.dockerfile.lowering import Lowered
from bakehouse.engine.graph import post_order
from bakehouse.errors import BakehouseError


def point_at_source(error: BakehouseError, graphs: Sequence[Lowered]) -> None:
    """Gives `error` the excerpt of the instruction that made its vertex, when one of `graphs` knows it."""
    if error.excerpt is not None or error.vertex_digest is None:
        return
    for lowered in graphs:
        edges = [item.edge for item in lowered.platforms if item.edge is not None]
        for vertex in post_order(edges):
            if vertex.digest != error.vertex_digest or not vertex.locations:
                continue
            name, first, last = vertex.locations[0]
            for source in lowered.sources:
                if source.filename == name:
                    error.excerpt = render_excerpt(name, source.data.decode("utf-8", "replace"), first, last)
                    return
