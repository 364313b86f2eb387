"""From LLB edges to the solver's nodes: one operation a vertex, equal vertices shared by all targets of a build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bakehouse.engine.ops.exec_limits import laxer_limits
from bakehouse.engine.tree import Tree
from bakehouse.errors import InternalError
from bakehouse.giturl import without_passwords
from bakehouse.llb.graph import collect
from bakehouse.llb.names import CUSTOM_NAME
from bakehouse.llb.ops import DiffOp, Edge, ExecOp, FileOp, MergeOp, Metadata, SourceOp, Vertex
from bakehouse.progress.events import ProgressGroup
from bakehouse.solver.model import Operation
from bakehouse.solver.solver import Node
from bakehouse.values import replace

#: Makes a vertex executable.
MakeOperation = Callable[[Vertex], Operation[Tree]]


def post_order(edges: Iterable[Edge]) -> list[Vertex]:
    """Every vertex below `edges` once, inputs before consumers, in the order of BuildKit's definitions. Iterative:
    a graph may be thousands of steps deep."""
    seen: set[str] = set()
    order: list[Vertex] = []
    for edge in edges:
        stack = [(edge.vertex, False)]
        while stack:
            vertex, expanded = stack.pop()
            if expanded:
                order.append(vertex)
            elif vertex.digest not in seen:
                seen.add(vertex.digest)
                stack.append((vertex, True))
                stack += [(source.vertex, False) for source in reversed(vertex.inputs)]
    return order


class Graph:
    """The nodes of one solve. `files_wanted` says which result edges an exporter will read file by file."""

    def __init__(
        self,
        edges: Sequence[Edge],
        files_wanted: Sequence[bool],
        make_operation: MakeOperation,
    ) -> None:
        order, metadata = _joined(edges)
        needed = _vertices_whose_files_are_read(order, edges, files_wanted)
        self.nodes: dict[str, Node[Tree]] = {}
        for vertex in order:
            joined = metadata[vertex.digest]
            self.nodes[vertex.digest] = Node(
                vertex.digest,
                without_passwords(joined.description.get(CUSTOM_NAME) or vertex.name),
                make_operation(_with(vertex, joined)),
                [(self.nodes[source.vertex.digest], source.index) for source in vertex.inputs],
                ignore_cache=joined.ignore_cache,
                files_needed=vertex.digest in needed,
                local=_is_local(vertex),
                progress_group=_progress_group(joined),
                read_inputs=frozenset(
                    number
                    for number in range(len(vertex.inputs))
                    if _reads_files(vertex, number, vertex.digest in needed)
                ),
            )

    def node(self, edge: Edge) -> Node[Tree]:
        return self.nodes[edge.vertex.digest]


def _joined(edges: Sequence[Edge]) -> tuple[list[Vertex], dict[str, Metadata]]:
    """Every vertex of the graphs once, inputs before consumers, and its metadata.

    Metadata is no part of a digest, so equal vertices may differ in it. Within one graph they are merged as BuildKit's
    client does; among graphs the first one names the vertex, and any may want it run whatever the cache holds.
    """
    order: list[Vertex] = []
    metadata: dict[str, Metadata] = {}
    for edge in edges:
        graph = collect(edge)
        for vertex in graph.vertices:
            mine = graph.metadata[vertex.digest]
            known = metadata.get(vertex.digest)
            if known is None:
                order.append(vertex)
                metadata[vertex.digest] = mine
            else:
                metadata[vertex.digest] = _shared(known, mine)
    return order, metadata


def _shared(known: Metadata, mine: Metadata) -> Metadata:
    """What counts of the metadata of a vertex that two graphs have: whoever wants it run anew gets it run, and the
    laxer limits hold, as in BuildKit, so that no graph is slowed down or killed by another's."""
    ignore_cache = known.ignore_cache or mine.ignore_cache
    resources = laxer_limits(known.resources, mine.resources)
    if ignore_cache == known.ignore_cache and resources == known.resources:
        return known
    return replace(known, ignore_cache=ignore_cache, resources=resources)


def _with(vertex: Vertex, metadata: Metadata) -> Vertex:
    """`vertex` with the metadata that operations look at."""
    mine = vertex.metadata
    if (mine.ignore_cache, mine.resources) == (metadata.ignore_cache, metadata.resources):
        return vertex
    return replace(vertex, metadata=metadata)


def _progress_group(metadata: Metadata) -> ProgressGroup | None:
    group = metadata.progress_group
    return None if group is None else ProgressGroup(group.id, group.name, group.weak)


def _vertices_whose_files_are_read(
    order: Sequence[Vertex], edges: Sequence[Edge], files_wanted: Sequence[bool]
) -> set[str]:
    """Digests of vertices whose result somebody will open as files, other than to pack it into a layer blob.

    A step reads its mounts and a copy its sources. The tree that a copy is made onto is read only when the result of
    that copy is read itself, so consumers are visited before their inputs.
    """
    needed = {edge.vertex.digest for edge, wanted in zip(edges, files_wanted, strict=True) if wanted}
    for vertex in reversed(order):
        for number, source in enumerate(vertex.inputs):
            if _reads_files(vertex, number, vertex.digest in needed):
                needed.add(source.vertex.digest)
    return needed


def _reads_files(vertex: Vertex, input: int, result_is_read: bool) -> bool:
    op = vertex.op
    if isinstance(op, FileOp):
        as_source = any(action.secondary_input == input for action in op.actions)
        by_name = any(_names_owner(action.action) for action in op.actions)
        return as_source or by_name or result_is_read
    if isinstance(op, MergeOp | DiffOp):
        return result_is_read
    return isinstance(op, ExecOp)


def _is_local(vertex: Vertex) -> bool:
    """Whether the work of a vertex is this process's own: files read, hashed, packed."""
    if isinstance(vertex.op, SourceOp):
        return source_scheme(vertex) == "local"
    return isinstance(vertex.op, FileOp | DiffOp | MergeOp)


def _names_owner(action: object) -> bool:
    owner = getattr(action, "owner", None)
    return owner is not None and any(
        user is not None and user.name is not None for user in (owner.user, owner.group)
    )


def source_scheme(vertex: Vertex) -> str:
    """The scheme of a source vertex's identifier (`docker-image`, `local`, `git`, `http`, `https`, `oci-layout`)."""
    if not isinstance(vertex.op, SourceOp):
        raise InternalError(f"{vertex.name} is not a source")
    return vertex.op.identifier.partition("://")[0]
