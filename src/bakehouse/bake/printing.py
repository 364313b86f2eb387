"""The printed definition (reference bake.md §17): resolved targets as JSON.

Members are in buildx's order, maps sorted as Go sorts them.
"""

from __future__ import annotations

from bakehouse.bake.fields import FIELDS
from bakehouse.go.jsontext import indented_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bakehouse.bake.target import Group, Resolved, Target

_ESCAPED_MARKERS = (("${", "$${"), ("%{", "%%{"))


def group_as_json(group: Group) -> dict[str, object]:
    head: dict[str, object] = {"description": group.description} if group.description else {}
    return {**head, "targets": group.targets}


def target_as_json(target: Target) -> dict[str, object]:
    """The members of a printed target: set fields only, in print order, empty collections left out."""
    out: dict[str, object] = {}
    for field in FIELDS:
        value = getattr(target, field.attribute)
        if value is None or not field.printed:
            continue
        if isinstance(value, (list, dict)):
            if value:
                out[field.name] = _collection(value, field.escaped)
        elif isinstance(value, str):
            if value or field.name != "description":
                out[field.name] = _escape(value) if field.escaped else value
        elif isinstance(value, bool):
            out[field.name] = value
        else:
            out[field.name] = value.as_json()
    return out


def _collection(value: list[object] | dict[str, str], escaped: bool) -> object:
    if isinstance(value, dict):
        return {key: _escape(value[key]) if escaped else value[key] for key in sorted(value, key=_bytes)}
    if isinstance(value[0], str):
        return [_escape(str(text)) for text in value] if escaped else value
    return [entry.as_json() for entry in value]  # type: ignore[attr-defined]


def _escape(text: str) -> str:
    for marker, doubled in _ESCAPED_MARKERS:
        if marker in text:
            text = text.replace(marker, doubled)
    return text


def _bytes(text: str) -> bytes:
    """Go sorts keys by their UTF-8 bytes."""
    return text.encode("utf-8", "surrogateescape")


def resolved_as_json(resolved: Resolved) -> dict[str, object]:
    out: dict[str, object] = {}
    if resolved.groups:
        out["group"] = {name: group_as_json(resolved.groups[name]) for name in sorted(resolved.groups)}
    out["target"] = {name: target_as_json(resolved.targets[name]) for name in sorted(resolved.targets)}
    return out


def print_json(resolved: Resolved) -> str:
    """What `bake --print` writes, byte for byte as buildx does, with the final newline."""
    return indented_json(resolved_as_json(resolved)) + "\n"
