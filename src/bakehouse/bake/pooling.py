"""From evaluated blocks to targets and groups: repeated blocks merged, groups of matrix blocks made, and, for
`BUILDX_BAKE_FILE_RELATIVE_PATHS`, the directories that contexts were written in (reference bake.md §13, §14, §18).
"""

from __future__ import annotations

from bakehouse.bake.contexts import file_directory
from bakehouse.bake.resolution import merge_block
from bakehouse.bake.target import ContextBase, Group, Target
from bakehouse.hcl.convert import ConversionError, convert
from bakehouse.hcl.traversal import TraverseAttribute
from bakehouse.hcl.types import STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from bakehouse.bake.blocks import BlockState
    from bakehouse.bake.recorder import Recorder
    from bakehouse.hcl.syntax import Expression


class Evaluated:
    """The outcome: targets with repeated blocks merged, and all groups, declared ones first, then those that matrix
    blocks make; the first group of a name counts."""

    __slots__ = ("groups", "targets")

    def __init__(self, targets: dict[str, Target], groups: list[Group]) -> None:
        self.targets = targets
        self.groups = groups


def pool(states: Iterable[BlockState], track_bases: bool, recorder: Recorder | None = None) -> Evaluated:
    """The outcome of fully evaluated blocks, given in file and source order. `recorder` is told of every block."""
    targets: dict[str, Target] = {}
    groups: dict[str, Group] = {}
    made: dict[str, list[str]] = {}
    for state in states:
        if state.block.type == "group":
            # A repeated group takes the place of the first.
            groups.update({instance.name: instance.as_group() for instance in state.instances})
            continue
        for target, instance in zip(state.targets, state.instances, strict=True):
            made.setdefault(state.block.labels[0], []).append(target.name)
            if track_bases:
                target.base = _base_of(state, target)
            if target.name in targets:
                merge_block(targets[target.name], target)
            else:
                targets[target.name] = target
            if recorder is not None:
                recorder.written(targets[target.name], state, instance, target)
    all_groups = list(groups.values())
    for label, names in made.items():
        unique = list(dict.fromkeys(names))
        # No group where a label only made the target of its own name.
        if unique != [label]:
            all_groups.append(Group(label, unique))
    return Evaluated(targets, all_groups)


def _base_of(state: BlockState, target: Target) -> ContextBase:
    """Where the contexts of a block were written, and whose context it copies."""
    directory = file_directory(state.block.def_range.filename)
    base = ContextBase()
    base.default = directory
    attribute = state.attributes.get("context")
    if attribute is not None:
        base.context = directory
        base.reference = _copied_from(attribute.expr)
    if "contexts" in state.attributes:
        base.contexts = dict.fromkeys(target.contexts or (), directory)
    return base


def _copied_from(expression: Expression) -> str:
    """NAME of an expression that is exactly `target.NAME.context`, else ""."""
    traversal = expression.as_traversal()
    if traversal is None or traversal.root_name != "target" or len(traversal.steps) != 2:
        return ""
    first, second = traversal.steps
    if not isinstance(second, TraverseAttribute) or second.name != "context":
        return ""
    if isinstance(first, TraverseAttribute):
        return first.name
    try:
        key = convert(first.key, STRING).raw
    except ConversionError:
        return ""
    return key if isinstance(key, str) else ""
