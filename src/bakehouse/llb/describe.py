"""Graphs for people: JSON in the manner of protojson, and DOT. Not a format to read back; use `encode` for that."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bakehouse.llb.decode import decode_definition
from bakehouse.llb.encode import SourceInfo, encode_terminal
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


def definition_as_json(data: bytes) -> dict[str, Any]:
    """An encoded pb.Definition as Go's `encoding/json` writes the message: what is empty left out, ops as base64."""
    decoded = decode_definition(data)
    if decoded.edge is None:
        return {}
    graph = collect(decoded.edge)
    metadata = dict(graph.metadata)
    metadata[graph.terminal_digest] = graph.terminal_metadata
    ops = [vertex.encoded for vertex in graph.vertices] + [encode_terminal(decoded.edge)]
    return {
        "def": [_base64(op) for op in ops],
        "metadata": {digest: _go_metadata(metadata[digest]) for digest in sorted(metadata)},
        "Source": _go_source(graph.locations, decoded.sources),
    }


def _go_metadata(metadata: Metadata) -> dict[str, Any]:
    members: dict[str, Any] = {
        "ignore_cache": metadata.ignore_cache,
        "description": dict(sorted(metadata.description.items())),
        "export_cache": None
        if metadata.export_cache is None
        else {"Value": True}
        if metadata.export_cache
        else {},
        "caps": dict.fromkeys(sorted(metadata.caps), True),
    }
    out = {
        name: value
        for name, value in members.items()
        if value or (name == "export_cache" and value is not None)
    }
    if metadata.progress_group is not None:
        group = metadata.progress_group
        texts: dict[str, Any] = {"id": group.id, "name": group.name, "weak": group.weak}
        out["progress_group"] = {name: value for name, value in texts.items() if value}
    return out


def _go_source(
    locations: Mapping[str, tuple[tuple[str, int, int], ...]], sources: Sequence[SourceInfo]
) -> dict[str, Any]:
    known = {source.filename: source for source in sources}
    used = {name: None for triples in locations.values() for name, _, _ in triples if name in known}
    indexes = {name: index for index, name in enumerate(used)}
    out: dict[str, Any] = {"locations": {}}
    for digest in sorted(locations):
        places = [
            _go_location(indexes[name], first, last)
            for name, first, last in locations[digest]
            if name in indexes
        ]
        out["locations"][digest] = {"locations": places} if places else {}
    infos = [_go_source_info(known[name]) for name in used]
    return {**out, "infos": infos} if infos else out


def _go_location(source_index: int, first: int, last: int) -> dict[str, Any]:
    index: dict[str, Any] = {"sourceIndex": source_index} if source_index else {}
    ranges = [{"start": {"line": line}, "end": {"line": line}} for line in range(first, last + 1)]
    return {**index, "ranges": ranges} if ranges else index


def _go_source_info(source: SourceInfo) -> dict[str, Any]:
    members: dict[str, Any] = {
        "filename": source.filename,
        "data": _base64(source.data),
        "definition": definition_as_json(source.definition) if source.definition else None,
        "language": source.language,
    }
    return {name: value for name, value in members.items() if value}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


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
