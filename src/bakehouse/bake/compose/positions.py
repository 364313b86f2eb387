"""Where the values of a target were written."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from bakehouse.bake.compose.nodes import Node
    from bakehouse.diagnostics import SourceRange

    #: Target, Bake field, and the key or index inside the field (None: the field as a whole).
    PositionKey: TypeAlias = tuple[str, str, "str | int | None"]


class Places:
    """Collects places while a target is made; `of` is the name of the target."""

    def __init__(self) -> None:
        self._nodes: dict[PositionKey, Node] = {}
        self.of = ""

    def note(self, field: str, node: Node | None, key: str | int | None = None) -> None:
        """The value of `field` (or of `key` in it) was set by `node`."""
        if node is not None:
            self._nodes[self.of, field, key] = node

    def note_items(self, field: str, nodes: list[Node], start: int = 0) -> None:
        """The elements of a list field from index `start` on."""
        for index, node in enumerate(nodes, start):
            self.note(field, node, index)

    def ranges(self) -> dict[PositionKey, SourceRange]:
        """Every place as a range."""
        return {key: node.range for key, node in self._nodes.items()}

    def range(self, target: str, field: str, part: str | int | None) -> SourceRange | None:
        """The place of one value; None when it is not known."""
        node = self._nodes.get((target, field, part))
        return None if node is None else node.range
