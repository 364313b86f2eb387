"""What `!reset` and `!override` of a document take away from what it joins."""

from __future__ import annotations

from bakehouse.bake.compose.nodes import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakehouse.bake.compose.nodes import Path


def without(node: Node, resets: Sequence[Path], path: Path = ()) -> Node:
    """The tree without the members at these paths. Elements of lists cannot be taken away."""
    if not isinstance(node.value, dict):
        return node
    out = {}
    changed = False
    for key, member in node.value.items():
        inner = (*path, key)
        near = [reset for reset in resets if _leads(inner, reset)]
        if any(len(reset) == len(inner) for reset in near):
            changed = True
            continue
        new = without(member, near, inner) if near else member
        changed = changed or new is not member
        out[key] = new
    return node.like(out) if changed else node


def _leads(path: Path, reset: Path) -> bool:
    return len(path) <= len(reset) and all(
        part in (name, "*") for name, part in zip(path, reset, strict=False)
    )
