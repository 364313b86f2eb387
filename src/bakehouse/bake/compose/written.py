"""The lines on which values would stand if a mapping were written as YAML of its own: the peer writes an extension and
reads it back, and its messages count the lines of that.
"""

from __future__ import annotations

from bakehouse.bake.compose.nodes import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def written_lines(root: Node) -> dict[int, int]:
    """The line, from one, of every value at or below `root`, by the identity of its node."""
    lines: dict[int, int] = {}
    _write(root, 1, lines)
    return lines


def in_written_order(members: dict[str, Node]) -> Iterator[tuple[str, Node]]:
    """The members of a mapping as they are written: keys in order, letters behind everything else."""
    return iter(sorted(members.items(), key=lambda item: [(char.isalpha(), char) for char in item[0]]))


def _write(node: Node, line: int, lines: dict[int, int]) -> int:
    """Notes the lines of a value that begins on `line`. Returns the line below it."""
    lines[id(node)] = line
    value = node.value
    if isinstance(value, dict) and value:
        for _, member in in_written_order(value):
            line = _write(member, line + _is_block(member), lines)
        return line
    if isinstance(value, list) and value:
        for item in value:
            line = _write(item, line, lines)
        return line
    if isinstance(value, str) and "\n" in value:
        return line + 1 + len(value.rstrip("\n").split("\n"))
    return line + 1


def _is_block(node: Node) -> bool:
    """Whether a member begins on the line below its key."""
    return isinstance(node.value, (dict, list)) and bool(node.value)
