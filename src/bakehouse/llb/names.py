"""Display names of vertices (engine.md §1.2): what progress and errors call a step."""

from __future__ import annotations

from bakehouse.llb.ops import (
    Action,
    Copy,
    DiffOp,
    ExecOp,
    FileOp,
    MergeOp,
    MkDir,
    MkFile,
    Rm,
    SourceOp,
    Vertex,
)

CUSTOM_NAME = "llb.customname"
_MAX_DEPTH = 20


def display_name(vertex: Vertex) -> str:
    """The custom name if there is one, else a text made of the op. Never empty for a valid vertex."""
    return _name(vertex, 0)


def _name(vertex: Vertex, depth: int) -> str:
    custom = vertex.metadata.description.get(CUSTOM_NAME)
    if custom:
        return custom
    op = vertex.op
    if isinstance(op, SourceOp):
        return op.identifier
    if isinstance(op, ExecOp):
        return " ".join(op.meta.args)
    if isinstance(op, FileOp):
        return ", ".join(_action_name(action.action) for action in op.actions)
    if depth >= _MAX_DEPTH:
        # Nested merges without names would otherwise recurse as deep as the graph is.
        return "…"
    if isinstance(op, MergeOp):
        return "merge (" + ", ".join(_input_name(vertex, index, depth) for index in op.inputs) + ")"
    assert isinstance(op, DiffOp)
    return f"diff ({_input_name(vertex, op.lower, depth)}) -> ({_input_name(vertex, op.upper, depth)})"


def _input_name(vertex: Vertex, index: int, depth: int) -> str:
    return "scratch" if index < 0 else _name(vertex.inputs[index].vertex, depth + 1)


def _action_name(action: Action) -> str:
    if isinstance(action, Copy):
        return f"copy {action.src} {action.dest}"
    if isinstance(action, MkDir):
        return f"mkdir {action.path}"
    if isinstance(action, MkFile):
        return f"mkfile {action.path}"
    if isinstance(action, Rm):
        return f"rm {action.path}"
    return f"symlink {action.newpath} -> {action.oldpath}"
