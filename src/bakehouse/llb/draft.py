"""Graphs under construction: nodes that become vertices when the graph is sealed.

Some facts are known only at the end: the paths that the whole build reads of its context, the default platform, the
engine's capabilities. So builders make nodes, and `seal` turns them into frozen vertices, inputs first, without
recursion. What the nodes of one op family hold stands in `sources`, `files` and `runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakehouse.errors import InternalError
from bakehouse.llb.graph import SealedVertex
from bakehouse.llb.ops import (
    Edge,
    LlbPlatform,
    Metadata,
    Op,
    ProgressGroup,
    ResourceLimits,
    Vertex,
)
from bakehouse.values import dataclass, field, replace

CUSTOM_NAME = "llb.customname"


@dataclass(frozen=True, slots=True)
class Constraints:
    """What is said of one op besides its body: platform, metadata and where it was written."""

    platform: LlbPlatform | None = None
    ignore_cache: bool = False
    description: tuple[tuple[str, str], ...] = ()
    export_cache: bool | None = None
    caps: frozenset[str] = frozenset()
    progress_group: ProgressGroup | None = None
    locations: tuple[tuple[str, int, int], ...] = ()
    resources: ResourceLimits | None = None

    def named(self, name: str) -> Constraints:
        """The same with `name` as the display name."""
        return self.described(CUSTOM_NAME, name)

    def described(self, key: str, value: str) -> Constraints:
        kept = tuple(entry for entry in self.description if entry[0] != key)
        return replace(self, description=(*kept, (key, value)))

    def with_caps(self, *caps: str) -> Constraints:
        return replace(self, caps=self.caps.union(caps))

    def metadata(self) -> Metadata:
        return Metadata(
            self.ignore_cache,
            dict(self.description),
            self.export_cache,
            self.caps,
            self.progress_group,
            self.resources,
        )


@dataclass(frozen=True, slots=True)
class SealDefaults:
    """What ops get that do not say otherwise. `platform` for ops that need one; `local_unique_id` for local sources
    without a session; `ignored_caps` are capabilities that the executing engine lacks."""

    platform: LlbPlatform
    local_unique_id: str = ""
    ignored_caps: frozenset[str] = frozenset()


class Node:
    """One op under construction. Identity matters: two equal nodes are two nodes."""

    constraints: Constraints

    def dependencies(self) -> Sequence["Output"]:
        """The outputs that this node reads, in any order, repeated or not."""
        raise NotImplementedError

    def seal(self, edges: "Callable[[Output], Edge]", defaults: SealDefaults) -> Vertex:
        """The vertex; `edges` gives the sealed form of a dependency."""
        raise NotImplementedError


class DeferredNode(Node):
    """Stands for an output that is known only when the graph is sealed. `target` is asked once a seal, and must
    not lead back here."""

    def __init__(self, target: "Callable[[], Output]") -> None:
        self.target = target

    def dependencies(self) -> Sequence["Output"]:
        return (self.target(),)


@dataclass(frozen=True, slots=True)
class SealedNode:
    """A vertex that was finished elsewhere (the result of another build) as part of a graph under construction."""

    vertex: Vertex


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """Output number `index` of `node`. `platform` is set where the op itself decides it (image sources)."""

    node: Node | SealedNode
    index: int = 0
    platform: LlbPlatform | None = None

    @staticmethod
    def of_edge(edge: Edge) -> "Output":
        return Output(SealedNode(edge.vertex), edge.index)

    @staticmethod
    def deferred(target: "Callable[[], Output]") -> "Output":
        return Output(DeferredNode(target))


@dataclass(slots=True)
class _Sealer:
    defaults: SealDefaults
    vertices: dict[int, Vertex] = field(default_factory=dict)
    targets: dict[int, Output] = field(default_factory=dict)
    # Nodes are kept alive while their ids are keys.
    alive: list[Node] = field(default_factory=list)

    def resolve(self, output: Output) -> Output:
        """`output` with deferred nodes followed to what they stand for."""
        hops = 0
        while isinstance(output.node, DeferredNode):
            key = id(output.node)
            if key not in self.targets:
                self.targets[key] = output.node.target()
                self.alive.append(output.node)
            output = self.targets[key]
            hops += 1
            if hops > 100:
                raise InternalError("a deferred output leads back to itself")
        return output

    def edge(self, output: Output) -> Edge:
        output = self.resolve(output)
        if isinstance(output.node, SealedNode):
            return Edge(output.node.vertex, output.index)
        return Edge(self.vertices[id(output.node)], output.index)

    def pending(self, output: Output) -> Node | None:
        """The node behind `output` when it still has to be sealed."""
        node = self.resolve(output).node
        if isinstance(node, SealedNode) or id(node) in self.vertices:
            return None
        return node

    def run(self, output: Output) -> Edge:
        root = self.pending(output)
        stack = [(root, iter(root.dependencies()))] if root is not None else []
        on_path = {id(root)}
        while stack:
            node, dependencies = stack[-1]
            for dependency in dependencies:
                below = self.pending(dependency)
                if below is None:
                    continue
                if id(below) in on_path:
                    raise InternalError("the build graph has a cycle")
                on_path.add(id(below))
                stack.append((below, iter(below.dependencies())))
                break
            else:
                stack.pop()
                on_path.discard(id(node))
                vertex = node.seal(self.edge, self.defaults)
                # Computed now, while its inputs' digests are known, so that no deep recursion arises later.
                _ = vertex.digest
                self.vertices[id(node)] = vertex
                self.alive.append(node)
        return self.edge(output)


def seal(output: Output | None, defaults: SealDefaults) -> Edge | None:
    """The finished graph behind `output`; None (scratch) stays None."""
    return None if output is None else _Sealer(defaults).run(output)


def finish(
    op: Op,
    inputs: Sequence[Edge],
    constraints: Constraints,
    platform: LlbPlatform | None = None,
    visits: Sequence[Edge] | None = None,
) -> Vertex:
    """The vertex of `op` with the metadata of `constraints`. The platform is left out unless given: most ops have
    none on the wire (engine.md §1.1). `visits` is the order in which a walk goes on, when it is not that of `inputs`;
    it may hold equal vertices of which `inputs` keeps one."""
    return SealedVertex(
        op,
        tuple(inputs),
        platform,
        constraints.metadata(),
        constraints.locations,
        tuple(inputs if visits is None else visits),
    )


@dataclass(slots=True)
class InputList:
    """The inputs of one op, each once, in the order of first use."""

    edges: list[Edge] = field(default_factory=list)
    _indexes: dict[tuple[str, int], int] = field(default_factory=dict)

    def add(self, edge: Edge) -> int:
        """The index of `edge` among the inputs; equal edges share one."""
        key = (edge.vertex.digest, edge.index)
        if key not in self._indexes:
            self._indexes[key] = len(self.edges)
            self.edges.append(edge)
        return self._indexes[key]
