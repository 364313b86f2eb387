"""Results of vertices as the text that the cache keeps, and back."""

from __future__ import annotations

from bakehouse.engine.layer_tree import LayerTree
from bakehouse.engine.tree import EngineContext, Tree
from bakehouse.snapshots import LayerChain

_PREFIX = "layers:"


def layers_of_record(record: str) -> tuple[str, ...] | None:
    """The layer ids that a record rests on, lowest first; None for a record of a kind that is not ours."""
    if not record.startswith(_PREFIX):
        return None
    text = record.removeprefix(_PREFIX)
    return tuple(text.split(",")) if text else ()


class TreeRecords:
    """The engine's `solver.model.ResultStore`. A host tree is of this process alone and is never saved."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def save(self, result: Tree) -> str | None:
        return _PREFIX + ",".join(result.chain().layers) if isinstance(result, LayerTree) else None

    def load(self, record: str) -> Tree | None:
        layers = layers_of_record(record)
        if layers is None or not self._context.layers.exists(LayerChain(layers)):
            return None
        return LayerTree(LayerChain(layers), self._context)

    def make_ready(self, result: Tree, *, opened: bool) -> bool:
        if not isinstance(result, LayerTree):
            return True
        return self._context.layers.make_ready(result.chain(), unpacked=opened)
