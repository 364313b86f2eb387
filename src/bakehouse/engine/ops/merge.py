"""MergeOp: the layers of the inputs stacked, left lowest (engine.md §5). No file moves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import DefinitionError
from bakehouse.go.jsontext import compact_json
from bakehouse.llb.ops import MergeOp, Vertex
from bakehouse.solver.model import CacheMap, InputKey, RunContext

if TYPE_CHECKING:
    from bakehouse.engine.tree import Tree


class MergeOperation:
    """The operation of a MergeOp vertex."""

    def __init__(self, vertex: Vertex, context: EngineContext) -> None:
        assert isinstance(vertex.op, MergeOp)
        self._op = vertex.op
        self._context = context
        if len(self._op.inputs) != len(vertex.inputs):
            raise DefinitionError(
                f"invalid merge op with {len(self._op.inputs)} inner inputs and {len(vertex.inputs)} outer inputs",
                code="invalid-merge-op",
            )

    def cache_map(self, context: RunContext) -> CacheMap:
        inputs = [{"input": index} if index else {} for index in self._op.inputs]
        merge = {"inputs": inputs} if inputs else {}
        text = compact_json({"Type": "buildkit.merge.v0", "Merge": merge})
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        return CacheMap(digest, tuple(InputKey() for _ in self._op.inputs))

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        from bakehouse.snapshots import LayerChain

        layers: tuple[str, ...] = ()
        for tree in inputs:
            layers += tree.chain().layers
        return [LayerTree(LayerChain(layers), self._context)]
