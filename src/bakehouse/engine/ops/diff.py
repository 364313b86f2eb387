"""DiffOp: what one tree has over another (engine.md §5).

When the lower chain begins the upper one, the difference is the rest of the layers. Otherwise the two trees are
compared entry by entry and the difference becomes one layer.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.tree import EngineContext
from bakehouse.errors import DefinitionError
from bakehouse.go.jsontext import compact_json
from bakehouse.llb.ops import DiffOp, Vertex
from bakehouse.solver.model import CacheMap, InputKey, RunContext

if TYPE_CHECKING:
    from bakehouse.engine.tree import Tree
    from bakehouse.snapshots import LayerChain


class DiffOperation:
    """The operation of a DiffOp vertex."""

    def __init__(self, vertex: Vertex, context: EngineContext) -> None:
        assert isinstance(vertex.op, DiffOp)
        self._op = vertex.op
        self._vertex = vertex
        self._context = context
        wanted = (self._op.lower != -1) + (self._op.upper != -1)
        if wanted != len(vertex.inputs):
            raise DefinitionError(
                f"invalid diff op with {wanted} inner inputs and {len(vertex.inputs)} outer inputs",
                code="invalid-diff-op",
            )

    def cache_map(self, context: RunContext) -> CacheMap:
        sides = {"lower": self._op.lower, "upper": self._op.upper}
        fields = {name: {"input": index} if index else {} for name, index in sides.items()}
        text = compact_json({"Type": "buildkit.diff.v0", "Diff": fields})
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        return CacheMap(digest, tuple(InputKey() for _ in self._vertex.inputs))

    def run(self, context: RunContext, inputs: Sequence[Tree]) -> list[Tree]:
        from bakehouse.snapshots import LayerChain

        remaining = list(inputs)
        lower = remaining.pop(0).chain() if self._op.lower != -1 else LayerChain(())
        upper = remaining.pop(0).chain() if self._op.upper != -1 else LayerChain(())
        return [LayerTree(self._difference(context, lower, upper), self._context)]

    def _difference(self, context: RunContext, lower: LayerChain, upper: LayerChain) -> LayerChain:
        from bakehouse.snapshots import LayerChain

        if not lower.layers:
            return upper
        if upper.layers[: len(lower.layers)] == lower.layers:
            return LayerChain(upper.layers[len(lower.layers) :])
        return LayerChain((self._compared(context, lower, upper),))

    def _compared(self, context: RunContext, lower: LayerChain, upper: LayerChain) -> str:
        """The difference of two unrelated trees as one layer, deletions as whiteouts."""
        from bakehouse.snapshots import LayerChain
        from bakehouse.snapshots.changes import double_walk
        from bakehouse.snapshots.tarwriter import ChangeWriter, TarWriter

        layers = self._context.layers
        with ExitStack() as stack:
            below = _opened(stack.enter_context(layers.view(lower)), stack)
            above = _opened(stack.enter_context(layers.view(upper)), stack)
            packed = stack.enter_context(layers.packed(LayerChain(()), description=self._vertex.name))
            writer = ChangeWriter(cast(TarWriter, packed), above)
            for change in double_walk(above, below):
                context.cancel.check()
                writer.write(change)
            return packed.commit()


def _opened(root: Path, stack: ExitStack) -> int:
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor
