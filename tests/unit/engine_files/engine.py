"""A small engine around one store: runs the vertices of an edge in order, without a solver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.unit.engine_files.trees import run_context

from bakehouse.engine.ops.diff import DiffOperation
from bakehouse.engine.ops.file import FileOperation
from bakehouse.engine.ops.merge import MergeOperation
from bakehouse.engine.sources.git import GitSource
from bakehouse.engine.sources.http import HttpSource
from bakehouse.engine.sources.local import LocalSource
from bakehouse.engine.tree import EngineContext, InputLimits, Tree
from bakehouse.llb.ops import DiffOp, Edge, FileOp, MergeOp, SourceOp, Vertex
from bakehouse.progress.events import null_reporter
from bakehouse.session import Session
from bakehouse.snapshots import Compression, LayerStore
from bakehouse.solver.model import Operation
from bakehouse.store import Store

_SOURCES: dict[str, Any] = {"local": LocalSource, "http": HttpSource, "https": HttpSource, "git": GitSource}


class SmallEngine:
    def __init__(self, context: EngineContext) -> None:
        self.context = context
        self.trees: dict[str, list[Tree]] = {}
        self.keys: dict[str, str] = {}

    def operation(self, vertex: Vertex) -> Operation[Tree]:
        op = vertex.op
        kinds: dict[type, Any] = {FileOp: FileOperation, MergeOp: MergeOperation, DiffOp: DiffOperation}
        if isinstance(op, SourceOp):
            made: Operation[Tree] = _SOURCES[op.identifier.partition("://")[0]](vertex, self.context)
            return made
        operation: Operation[Tree] = kinds[type(op)](vertex, self.context)
        return operation

    def run(self, edge: Edge, *, files_needed: bool = True) -> Tree:
        """The tree of `edge`; content keys are computed as the solver would."""
        vertex = edge.vertex
        if vertex.digest not in self.trees:
            inputs = [self.run(source, files_needed=files_needed) for source in vertex.inputs]
            operation = self.operation(vertex)
            context = run_context(files_needed=files_needed)
            cache_map = operation.cache_map(context)
            self.keys[vertex.digest] = cache_map.digest
            for key, tree in zip(cache_map.inputs, inputs, strict=True):
                if key.content is not None:
                    key.content(tree)
            self.trees[vertex.digest] = operation.run(context, inputs)
        return self.trees[vertex.digest][edge.index]

    def layers(self, tree: Tree) -> list[bytes]:
        """The uncompressed layer tars of a tree."""
        chain = tree.chain()
        wanted = Compression("uncompressed", force=True)
        blobs = [self.context.layers.blob(chain, number, wanted) for number in range(len(chain.layers))]
        return [self.context.store.blobs.path(blob.descriptor.digest).read_bytes() for blob in blobs]


@contextmanager
def small_engine(
    root: Path, session: Session | None = None, limits: InputLimits | None = None
) -> Iterator[SmallEngine]:
    with Store.open(root) as store, LayerStore(store) as layers:
        context = EngineContext(store, layers, session or Session(), null_reporter())
        context.limits = limits or context.limits
        yield SmallEngine(context)


def local(name: str = "context", **attrs: str) -> Edge:
    return Edge(Vertex(SourceOp(f"local://{name}", {f"local.{key}": value for key, value in attrs.items()})))
