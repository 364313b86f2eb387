"""Walks over finished graphs: order, metadata and locations per digest, without recursion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

from bakehouse.llb import caps
from bakehouse.llb.ops import Edge, FileOp, Metadata, Vertex
from bakehouse.values import dataclass


@dataclass(frozen=True)
class Graph:
    """What hangs on one edge. `vertices` holds each digest once, inputs before their users, in the order of BuildKit's
    client. Vertices that are equal but stand at several places have their metadata merged, later ones winning, and
    their locations joined."""

    edge: Edge
    vertices: tuple[Vertex, ...]
    metadata: dict[str, Metadata]
    locations: dict[str, tuple[tuple[str, int, int], ...]]

    @cached_property
    def terminal_digest(self) -> str:
        """The digest of the pseudo-op that ends a definition; only metadata is filed under it."""
        from bakehouse.llb.encode import encode_terminal

        return "sha256:" + hashlib.sha256(encode_terminal(self.edge)).hexdigest()

    @property
    def terminal_metadata(self) -> Metadata:
        """The capabilities that a definition as a whole asks for."""
        wanted = {caps.CONSTRAINTS, caps.PLATFORM}
        for metadata in self.metadata.values():
            if metadata.ignore_cache:
                wanted.add(caps.META_IGNORE_CACHE)
            if metadata.description:
                wanted.add(caps.META_DESCRIPTION)
            if metadata.export_cache is not None:
                wanted.add(caps.META_EXPORT_CACHE)
        return Metadata(caps=frozenset(wanted))


def collect(edge: Edge) -> Graph:
    """The graph behind `edge`, in depth-first post-order."""
    order: list[Vertex] = []
    metadata: dict[str, Metadata] = {}
    locations: dict[str, tuple[tuple[str, int, int], ...]] = {}
    for vertex in post_order([edge.vertex]):
        digest = vertex.digest
        if digest not in metadata:
            order.append(vertex)
            metadata[digest] = vertex.metadata
        else:
            metadata[digest] = merge_metadata(metadata[digest], vertex.metadata)
        locations[digest] = locations.get(digest, ()) + vertex.locations
    return Graph(edge, tuple(order), metadata, locations)


def post_order(roots: Iterable[Vertex]) -> list[Vertex]:
    """Every vertex object once, inputs first. Equal vertices that are different objects are all listed: each may
    carry metadata of its own."""
    seen: set[int] = set()
    out: list[Vertex] = []
    for root in roots:
        stack = [(root, iter(walk_inputs(root)))] if id(root) not in seen else []
        seen.add(id(root))
        while stack:
            vertex, inputs = stack[-1]
            for edge in inputs:
                if id(edge.vertex) not in seen:
                    seen.add(id(edge.vertex))
                    stack.append((edge.vertex, iter(walk_inputs(edge.vertex))))
                    break
            else:
                stack.pop()
                out.append(vertex)
    return out


@dataclass(frozen=True, eq=False)
class SealedVertex(Vertex):
    """A vertex made by a builder, with the edges that a walk follows from it (`visits`). Two inputs that are equal
    are one input on the wire, but each may bring its own names and locations, which belong into the metadata."""

    visits: tuple[Edge, ...] = ()


def walk_inputs(vertex: Vertex) -> Sequence[Edge]:
    """The inputs in the order in which BuildKit's client visits them. For a decoded vertex it differs from their order
    in the op for file ops only: there the tree that is changed comes first, then the copy sources from the last
    action to the first."""
    if isinstance(vertex, SealedVertex):
        return vertex.visits
    op = vertex.op
    if not isinstance(op, FileOp):
        return list(vertex.inputs)
    count = len(vertex.inputs)
    indexes = [action.input for action in op.actions]
    indexes += [action.secondary_input for action in reversed(op.actions)]
    order = dict.fromkeys(index for index in indexes if 0 <= index < count)
    order.update(dict.fromkeys(range(count)))
    return [vertex.inputs[index] for index in order]


def ensure_digests(vertices: Iterable[Vertex]) -> None:
    """Computes the digests of `vertices` and of all below them, lowest first, so that no deep recursion arises."""
    pending = [vertex for vertex in vertices if "digest" not in vertex.__dict__]
    if not pending:
        return
    for vertex in post_order(pending):
        _ = vertex.digest


def merge_metadata(first: Metadata, second: Metadata) -> Metadata:
    """Both together; where they disagree, `second` wins."""
    export_cache = first.export_cache if second.export_cache is None else second.export_cache
    return Metadata(
        ignore_cache=first.ignore_cache or second.ignore_cache,
        description={**first.description, **second.description},
        export_cache=export_cache,
        caps=first.caps | second.caps,
        progress_group=second.progress_group or first.progress_group,
        resources=second.resources or first.resources,
    )
