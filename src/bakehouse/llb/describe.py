"""Graphs for people: JSON in the manner of protojson, and DOT. Not a format to read back; use `encode` for that."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from bakehouse.llb.graph import collect
from bakehouse.llb.ops import (
    DiffOp,
    Edge,
    ExecOp,
    FileOp,
    MergeOp,
    Metadata,
    SourceOp,
    Vertex,
)
from bakehouse.values import field_names

_KINDS = {SourceOp: "source", ExecOp: "exec", FileOp: "file", MergeOp: "merge", DiffOp: "diff"}
_SHAPES = {SourceOp: "ellipse", ExecOp: "box", FileOp: "note", MergeOp: "invtriangle", DiffOp: "doublecircle"}


def describe(edge: Edge | None) -> list[dict[str, Any]]:
    """One entry a vertex, inputs first: `digest`, `name`, `op` (kind and fields that are not at their default),
    `inputs`, `platform`, `metadata`, `locations`."""
    if edge is None:
        return []
    graph = collect(edge)
    out = []
    for vertex in graph.vertices:
        entry: dict[str, Any] = {"digest": vertex.digest, "name": vertex.name}
        inputs = [{"digest": each.vertex.digest, "index": each.index} for each in vertex.inputs]
        if inputs:
            entry["inputs"] = inputs
        if vertex.platform is not None:
            entry["platform"] = _plain(vertex.platform)
        entry["op"] = {kind(vertex): _plain(vertex.op)}
        metadata = _plain_metadata(graph.metadata[vertex.digest])
        if metadata:
            entry["metadata"] = metadata
        if graph.locations[vertex.digest]:
            entry["locations"] = [
                {"source": name, "first": first, "last": last}
                for name, first, last in graph.locations[vertex.digest]
            ]
        out.append(entry)
    return out


def to_json(edge: Edge | None) -> str:
    """`describe` as indented JSON text, with a final newline."""
    return json.dumps(describe(edge), indent=2, ensure_ascii=False) + "\n"


def to_dot(edge: Edge | None) -> str:
    """The graph as a DOT digraph: sources at the top, an arrow from every input to its user."""
    lines = ["digraph {"]
    if edge is not None:
        for vertex in collect(edge).vertices:
            label, key = _quoted(vertex.name), _quoted(vertex.digest)
            lines.append(f"  {key} [label={label} shape={_quoted(_SHAPES[type(vertex.op)])}];")
            lines += [
                f"  {_quoted(each.vertex.digest)} -> {key} [label={_quoted(_edge_label(vertex, position))}];"
                for position, each in enumerate(vertex.inputs)
            ]
    return "\n".join([*lines, "}"]) + "\n"


def kind(vertex: Vertex) -> str:
    """`source`, `exec`, `file`, `merge` or `diff`."""
    return _KINDS[type(vertex.op)]


def _edge_label(vertex: Vertex, position: int) -> str:
    """Where an input goes: the mount points of an exec op, nothing for other ops."""
    if not isinstance(vertex.op, ExecOp):
        return ""
    return " ".join(mount.dest for mount in vertex.op.mounts if mount.input == position)


def _plain(value: Any) -> Any:
    """Values as dicts without default values, bytes as base64."""
    if (names := field_names(value)) is not None:
        out = {}
        for name in names:
            item = getattr(value, name)
            if item not in (None, "", 0, (), b"", False) and item != {}:
                out[name] = _plain(item)
        if type(value).__name__ in ("Copy", "MkFile", "MkDir", "Rm", "Symlink"):
            return {"kind": type(value).__name__.lower(), **out}
        return out
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | frozenset):
        items = sorted(value) if isinstance(value, frozenset) else value
        return [_plain(item) for item in items]
    return value


def _plain_metadata(metadata: Metadata) -> dict[str, Any]:
    plain: dict[str, Any] = _plain(metadata)
    return plain


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
